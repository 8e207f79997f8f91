"""Odd frames by hand, each with the one answer it may get. Also seeds of the fuzzers."""

from typing import Final, NamedTuple

FORMAT: Final = "FormatViolation"
FRAMEWORK: Final = "RpcFrameworkError"
NOT_IMPLEMENTED: Final = "NotImplemented"
OCCURRENCE: Final = "OccurrenceConstraintViolation"
PROPERTY: Final = "PropertyConstraintViolation"
TYPE: Final = "TypeConstraintViolation"
TYPE_NUMBER: Final = "MessageTypeNotSupported"

BOTH: Final = ("2.0.1", "2.1")
UNREADABLE: Final = "-1"
OPEN_ID: Final = "open"
OPEN_ACTION: Final = "Heartbeat"
RESULT: Final = '{"currentTime":"2026-11-21T09:30:00Z"}'


class Bad(NamedTuple):
    """A frame that must be refused."""

    name: str
    frame: bytes | str
    code: str
    message_id: str = "i"
    pointer: str = ""
    action: str | None = None
    message_type: int | None = 2
    versions: tuple[str, ...] = BOTH


def call(payload: str, action: str = "Heartbeat") -> str:
    """A CALL with the id `i`."""
    return f'[2,"i","{action}",{payload}]'


def custom(value: str) -> str:
    """A Heartbeat whose customData has the member `x`."""
    return call(f'{{"customData":{{"vendorId":"v","x":{value}}}}}')


def text(value: str | bytes) -> bytes:
    """A DataTransfer whose `vendorId` is the raw string token `value`."""
    raw = value if isinstance(value, bytes) else value.encode()
    return b'[2,"i","DataTransfer",{"vendorId":' + raw + b"}]"


def bad_in(where: str, name: str, value: str, code: str = FORMAT) -> Bad:
    """A bad token as the whole `customData.x`, or as `DataTransfer.data`."""
    if where == "custom":
        return Bad(name, custom(value), code, pointer="/customData/x", action="Heartbeat")
    frame = f'[2,"i","DataTransfer",{{"vendorId":"v","data":{value}}}]'
    return Bad(f"{name} as data", frame, code, pointer="/data", action="DataTransfer")


NO_FRAME: Final = tuple(
    Bad(name, frame, FRAMEWORK, UNREADABLE, message_type=None)
    for name, frame in {
        "nothing": "",
        "space": " \t\r\n ",
        "word": "hello",
        "object": '{"messageTypeId":2}',
        "string": '"[2]"',
        "number": "2",
        "null": "null",
        "empty array": "[]",
        "nested array": '[[2,"i","Heartbeat",{}]]',
        "BOM": b'\xef\xbb\xbf[2,"i","Heartbeat",{}]',
        "UTF-16": '[2,"i","Heartbeat",{}]'.encode("utf-16"),
        "UTF-16 without BOM": '[2,"i","Heartbeat",{}]'.encode("utf-16-le"),
        "NUL in front": '\x00[2,"i","Heartbeat",{}]',
        "no-break space in front": '\u00a0[2,"i","Heartbeat",{}]',
        "vertical tab in front": '\x0b[2,"i","Heartbeat",{}]',
        "comment in front": '/**/[2,"i","Heartbeat",{}]',
        "open bracket": "[",
        "thousands of open brackets": "[" * 100_000,
        "thousands of open braces": '{"a":' * 100_000,
        "comma first": '[,2,"i","Heartbeat",{}]',
        "type leading zero": '[02,"i","Heartbeat",{}]',
        "type plus": '[+2,"i","Heartbeat",{}]',
        "type point": '[2.,"i","Heartbeat",{}]',
        "type huge exponent": '[2e999,"i","Heartbeat",{}]',
        "type NaN": '[NaN,"i","Heartbeat",{}]',
        "type deep": "[" * 200 + '2,"i","Heartbeat",{}' + "]" * 200,
        "invalid UTF-8": b'[2,"i","DataTransfer",{"vendorId":"\xff"}]',
        "overlong UTF-8": b'[2,"i","DataTransfer",{"vendorId":"\xc0\xaf"}]',
        "UTF-8 surrogate": b'[2,"i","DataTransfer",{"vendorId":"\xed\xa0\x80"}]',
        "UTF-8 cut off": b'[2,"i","DataTransfer",{"vendorId":"\xf0\x9f\x94"}]',
        "UTF-8 beyond Unicode": b'[2,"i","DataTransfer",{"vendorId":"\xf4\x90\x80\x80"}]',
    }.items()
)

# The message type number was read, the id was not.
NO_ID: Final = tuple(
    Bad(name, frame, FRAMEWORK, UNREADABLE)
    for name, frame in {
        "type only": "[2]",
        "type only, open": "[2",
        "type, comma": "[2,",
        "id missing": "[2,]",
        "id number": '[2,17,"Heartbeat",{}]',
        "id null": '[2,null,"Heartbeat",{}]',
        "id true": '[2,true,"Heartbeat",{}]',
        "id array": '[2,["i"],"Heartbeat",{}]',
        "id object": '[2,{"i":1},"Heartbeat",{}]',
        "id empty": '[2,"","Heartbeat",{}]',
        "id of 37 characters": f'[2,"{"x" * 37}","Heartbeat",{{}}]',
        "id of 60 characters": f'[2,"{"x" * 60}","Heartbeat",{{}}]',
        "id of 37 wide characters": f'[2,"{"ü" * 37}","Heartbeat",{{}}]',
        "id of 37 escapes": f'[2,"{chr(92) + "u00fc"}{"x" * 36}","Heartbeat",{{}}]',
        "id with a lone surrogate": '[2,"\\ud800","Heartbeat",{}]',
        "id with a bad escape": '[2,"\\x","Heartbeat",{}]',
        "id with a line feed": '[2,"a\nb","Heartbeat",{}]',
        "id not closed": '[2,"i',
        "id in single quotes": "[2,'i','Heartbeat',{}]",
        "no comma behind the type": '[2 "i","Heartbeat",{}]',
        "colon behind the type": '[2:"i","Heartbeat",{}]',
    }.items()
)

WRONG_ELEMENTS: Final = (
    Bad("type hexadecimal", '[0x2,"i","Heartbeat",{}]', FRAMEWORK, UNREADABLE, message_type=0),
    Bad("no action", '[2,"i"]', FRAMEWORK),
    Bad("no action, open", '[2,"i"', FRAMEWORK),
    Bad("no action, comma", '[2,"i",]', FRAMEWORK),
    Bad("action null", '[2,"i",null,{}]', FRAMEWORK),
    Bad("action number", '[2,"i",5,{}]', FRAMEWORK),
    Bad("action object", '[2,"i",{},{}]', FRAMEWORK),
    Bad("action array", '[2,"i",["Heartbeat"],{}]', FRAMEWORK),
    Bad("action not closed", '[2,"i","Heartbeat', FRAMEWORK),
    Bad("action with a lone surrogate", '[2,"i","\\udc00",{}]', FRAMEWORK),
    Bad("payload missing", '[2,"i","Heartbeat"]', FRAMEWORK, action="Heartbeat"),
    Bad("frame cut off before payload", '[2,"i","Heartbeat"', FRAMEWORK, action="Heartbeat"),
    Bad("element too many", '[2,"i","Heartbeat",{},{}]', FRAMEWORK, action="Heartbeat"),
    Bad("two elements too many", '[2,"i","Heartbeat",{},1,"x"]', FRAMEWORK, action="Heartbeat"),
    Bad("comma behind payload", '[2,"i","Heartbeat",{},]', FRAMEWORK, action="Heartbeat"),
    Bad("not closed", '[2,"i","Heartbeat",{}', FRAMEWORK, action="Heartbeat"),
    Bad("closed by a brace", '[2,"i","Heartbeat",{}}', FRAMEWORK, action="Heartbeat"),
    Bad("closed twice", '[2,"i","Heartbeat",{}]]', FRAMEWORK, action="Heartbeat"),
    Bad("garbage behind", '[2,"i","Heartbeat",{}]x', FRAMEWORK, action="Heartbeat"),
    Bad("second frame behind", '[2,"i","Heartbeat",{}][2]', FRAMEWORK, action="Heartbeat"),
    Bad("NUL behind", '[2,"i","Heartbeat",{}]\x00', FRAMEWORK, action="Heartbeat"),
    Bad("NULs behind", '[2,"i","Heartbeat",{}]' + "\x00" * 70, FRAMEWORK, action="Heartbeat"),
    Bad("type 2.5", '[2.5,"i","Heartbeat",{}]', FRAMEWORK, message_type=None),
    Bad("type string", '["2","i","Heartbeat",{}]', FRAMEWORK, message_type=None),
    Bad("type null", '[null,"i","Heartbeat",{}]', FRAMEWORK, message_type=None),
    Bad("type true", '[true,"i","Heartbeat",{}]', FRAMEWORK, message_type=None),
    Bad("type beyond 64 bits", f'[{2**64},"i","Heartbeat",{{}}]', FRAMEWORK, message_type=None),
)

UNKNOWN: Final = (
    Bad("action unknown", call("{}", "Unknown"), NOT_IMPLEMENTED, action="Unknown"),
    Bad("action empty", call("{}", ""), NOT_IMPLEMENTED, action=""),
    Bad("action in lower case", call("{}", "heartbeat"), NOT_IMPLEMENTED, action="heartbeat"),
    Bad(
        "action of type", call("{}", "HeartbeatRequest"), NOT_IMPLEMENTED, action="HeartbeatRequest"
    ),
    Bad("action with space", call("{}", "Heartbeat "), NOT_IMPLEMENTED, action="Heartbeat "),
    Bad("action with NUL", call("{}", "Heartbeat\\u0000"), NOT_IMPLEMENTED, action="Heartbeat\x00"),
    Bad("action long", call("{}", "H" * 5000), NOT_IMPLEMENTED, action="H" * 5000),
    Bad(
        "action of 1.6", call("{}", "StartTransaction"), NOT_IMPLEMENTED, action="StartTransaction"
    ),
    Bad(
        "action of 2.1",
        call("{}", "BatterySwap"),
        NOT_IMPLEMENTED,
        action="BatterySwap",
        versions=("2.0.1",),
    ),
    Bad(
        "SEND action as CALL",
        call("{}", "NotifyPeriodicEventStream"),
        NOT_IMPLEMENTED,
        action="NotifyPeriodicEventStream",
    ),
    Bad(
        "CALL action as SEND",
        '[6,"i","Heartbeat",{}]',
        NOT_IMPLEMENTED,
        action="Heartbeat",
        message_type=6,
        versions=("2.1",),
    ),
    *(
        Bad(f"type {number}", f'[{number},"i","Heartbeat",{{}}]', TYPE_NUMBER, message_type=number)
        for number in (0, 1, 7, 8, 17, -2, 22, 2**31, 2**63 - 1)
    ),
    Bad("type 5 in 2.0.1", '[5,"i","c","d",{}]', TYPE_NUMBER, message_type=5, versions=("2.0.1",)),
    Bad("type 6 in 2.0.1", '[6,"i","A",{}]', TYPE_NUMBER, message_type=6, versions=("2.0.1",)),
    Bad("type 7 alone", '[7,"i"]', TYPE_NUMBER, message_type=7),
)

NO_OBJECT: Final = tuple(
    Bad(f"payload {name}", call(payload), FORMAT, action="Heartbeat")
    for name, payload in {
        "null": "null",
        "string": '"{}"',
        "number": "1",
        "true": "true",
        "array": "[]",
        "array of object": "[{}]",
    }.items()
)

BROKEN: Final = (
    *(
        Bad(name, call(payload), FORMAT, action="Heartbeat")
        for name, payload in {
            "payload empty": "",
            "payload word": "nothing",
            "payload NaN": "NaN",
            "payload open": "{",
            "payload comma": "{,}",
            "payload colon": "{:}",
            "name without quotes": "{customData:1}",
            "name in single quotes": "{'customData':1}",
            "name number": "{1:1}",
            "name null": "{null:1}",
            "name only": '{"customData"}',
            "name not closed": '{"customData',
            "name with line feed": '{"custom\nData":1}',
            "name with a lone surrogate": '{"\\ud83d":1}',
            "brackets mixed": "{]",
            "comment": "{/**/}",
        }.items()
    ),
    *(
        bad_in(where, name, value)
        for where in ("custom", "data")
        for name, value in {
            "NaN": "NaN",
            "Infinity": "Infinity",
            "minus Infinity": "-Infinity",
            "leading zero": "01",
            "minus leading zero": "-01",
            "double zero": "00",
            "plus": "+1",
            "point first": ".5",
            "minus point": "-.5",
            "point last": "1.",
            "point exponent": "1.e5",
            "exponent empty": "1e",
            "exponent sign only": "1e+",
            "minus only": "-",
            "minus twice": "--1",
            "wide digit": "１",  # noqa: RUF001 - a digit, but not one of JSON's
            "True": "True",
            "nul": "nul",
            "undefined": "undefined",
            "lone high surrogate": '"\\ud800"',
            "lone low surrogate": '"\\udfff"',
            "two high surrogates": '"\\ud83d\\ud83d"',
            "surrogates reversed": '"\\udd0c\\ud83d"',
            "high surrogate and text": '"\\ud83dx"',
            "high surrogate cut off": '"\\ud83d\\u"',
            "unicode escape of three": '"\\u12"',
            "unicode escape no hex": '"\\u00g0"',
            "unicode escape plus": '"\\u+123"',
            "unknown escape": '"\\a"',
            "capital escape": '"\\N"',
            "line feed in text": '"a\nb"',
            "tab in text": '"a\tb"',
            "NUL in text": '"a\x00b"',
            "unit separator in text": '"a\x1fb"',
        }.items()
    ),
    # A number ends there, so the fault lies behind the value.
    Bad("hexadecimal", custom("0x10"), FORMAT, pointer="/customData", action="Heartbeat"),
    Bad("underscore", custom("1_000"), FORMAT, pointer="/customData", action="Heartbeat"),
    Bad("deep array", custom("[" * 100_000 + "]" * 100_000), FORMAT, action="Heartbeat"),
    Bad("deep object", custom('{"a":' * 5000 + "1" + "}" * 5000), FORMAT, action="Heartbeat"),
    Bad("deep and open", custom("[" * 200_000), FORMAT, action="Heartbeat"),
    Bad(
        "deep unknown member",
        call('{"x":' + "[" * 999 + "]" * 999 + "}"),
        FORMAT,
        action="Heartbeat",
    ),
    Bad("deep payload", call("[" * 999 + "]" * 999), FORMAT, action="Heartbeat"),
    Bad(
        "duplicate member",
        call('{"customData":{"vendorId":"v"},"customData":{"vendorId":"v"}}'),
        FORMAT,
        pointer="/customData",
        action="Heartbeat",
    ),
    Bad(
        "duplicate by an escape",
        call('{"customData":{"vendorId":"v","vendor\\u0049d":"v"}}'),
        FORMAT,
        pointer="/customData/vendorId",
        action="Heartbeat",
    ),
    Bad(
        "duplicate of an unknown member",
        call('{"customData":{"vendorId":"v","x":1,"\\u0078":2}}'),
        FORMAT,
        pointer="/customData/x",
        action="Heartbeat",
    ),
    Bad(
        "duplicate deep in any JSON",
        custom('[{"a":1},{"b/c":{"d":1,"e":2,"d":3}}]'),
        FORMAT,
        pointer="/customData/x/1/b~1c/d",
        action="Heartbeat",
    ),
)

TOO_LARGE: Final = tuple(
    bad_in(where, name, value, PROPERTY)
    for where in ("custom", "data")
    for name, value in {
        "1E400": "1E400",
        "-1e309": "-1e309",
        "10,000 digits": "9" * 10_000,
        "exponent of 10,000 digits": "1e" + "9" * 10_000,
    }.items()
)

RESULTS: Final = (
    Bad("result missing", f'[3,"{OPEN_ID}"]', FRAMEWORK, OPEN_ID, message_type=3),
    Bad("result cut off", f'[3,"{OPEN_ID}",', FORMAT, OPEN_ID, message_type=3),
    Bad("result null", f'[3,"{OPEN_ID}",null]', FORMAT, OPEN_ID, message_type=3),
    Bad("result twice", f'[3,"{OPEN_ID}",{RESULT},{RESULT}]', FRAMEWORK, OPEN_ID, message_type=3),
    Bad(
        "result empty", f'[3,"{OPEN_ID}",{{}}]', OCCURRENCE, OPEN_ID, "/currentTime", message_type=3
    ),
    Bad(
        "result with an action",
        f'[3,"{OPEN_ID}","{OPEN_ACTION}",{RESULT}]',
        FORMAT,
        OPEN_ID,
        message_type=3,
    ),
    Bad("result id number", f"[3,1,{RESULT}]", FRAMEWORK, UNREADABLE, message_type=3),
    Bad("stray result missing", '[3,"stray"]', FRAMEWORK, "stray", message_type=3),
    Bad("stray result cut off", '[3,"stray",{"a":', FORMAT, "stray", message_type=3),
    Bad("stray result broken", '[3,"stray",nonsense]', FORMAT, "stray", message_type=3),
    Bad("stray result twice", '[3,"stray",{},{}]', FRAMEWORK, "stray", message_type=3),
    Bad("stray result, garbage behind", '[3,"stray",{}]x', FRAMEWORK, "stray", message_type=3),
)

ERRORS: Final = tuple(
    Bad(
        f"{name} in type {number}",
        f"[{number},{rest}",
        code,
        message_id,
        message_type=number,
        versions=BOTH if number == 4 else ("2.1",),
    )
    for number in (4, 5)
    for name, rest, code, message_id in (
        ("id only", '"i"]', FRAMEWORK, "i"),
        ("no description", '"i","GenericError"]', FRAMEWORK, "i"),
        ("no details", '"i","GenericError",""]', FRAMEWORK, "i"),
        ("details null", '"i","GenericError","",null]', FRAMEWORK, "i"),
        ("details string", '"i","GenericError","","x"]', FRAMEWORK, "i"),
        ("details array", '"i","GenericError","",[]]', FRAMEWORK, "i"),
        ("description null", '"i","GenericError",null,{}]', FRAMEWORK, "i"),
        ("code null", '"i",null,"",{}]', FRAMEWORK, "i"),
        ("code number", '"i",404,"",{}]', FRAMEWORK, "i"),
        ("element too many", '"i","GenericError","",{},{}]', FRAMEWORK, "i"),
        ("not closed", '"i","GenericError","",{}', FRAMEWORK, "i"),
        ("details broken", '"i","GenericError","",{"a":nonsense}]', FORMAT, "i"),
        ("details NaN", '"i","GenericError","",{"a":NaN}]', FORMAT, "i"),
        ("id empty", '"","GenericError","",{}]', FRAMEWORK, UNREADABLE),
        ("id null", 'null,"GenericError","",{}]', FRAMEWORK, UNREADABLE),
    )
)

ALL_BAD: Final = (
    *NO_FRAME,
    *NO_ID,
    *WRONG_ELEMENTS,
    *UNKNOWN,
    *NO_OBJECT,
    *BROKEN,
    *TOO_LARGE,
    *RESULTS,
    *ERRORS,
)


def raw(frame: bytes | str) -> bytes:
    """A frame as it comes off the link."""
    return frame if isinstance(frame, bytes) else frame.encode()


GOOD_CALLS: Final = {
    "plain": ('[2,"i","Heartbeat",{}]', "i"),
    "spaces everywhere": ' \t\r\n[ \t\r\n2 \t\r\n, \t\r\n"i" \n, \r"Heartbeat"\t,\n{ \t } \r ] \n ',
    "type 2.0": '[2.0,"i","Heartbeat",{}]',
    "type 2e0": '[2e0,"i","Heartbeat",{}]',
    "type 0.2E+1": '[0.2E+1,"i","Heartbeat",{}]',
    "action by escapes": '[2,"i","\\u0048eartb\\u0065at",{}]',
    "id of 36 characters": (f'[2,"{"x" * 36}","Heartbeat",{{}}]', "x" * 36),
    "id of 36 wide characters": (f'[2,"{"漢" * 36}","Heartbeat",{{}}]', "漢" * 36),
    "id of 36 pairs": ('[2,"' + "\\ud83d\\udd0c" * 36 + '","Heartbeat",{}]', "\U0001f50c" * 36),
    "id with escapes": (
        '[2,"\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000","Heartbeat",{}]',
        '"\\/\b\f\n\r\t\x00',
    ),
    "id of one space": ('[2," ","Heartbeat",{}]', " "),
    "id -1": ('[2,"-1","Heartbeat",{}]', "-1"),
}
