import re
import timeit
from itertools import islice, repeat
from time import thread_time

from ocpp_fast.ids import Ids, _base36, _numbered


def test_message_ids_never_repeat_within_an_instance() -> None:
    ids = Ids()
    made = [ids.message_id() for _ in range(100_000)]
    assert len(set(made)) == len(made)


def test_message_ids_of_two_instances_do_not_meet() -> None:
    first, second = Ids(), Ids()
    assert {first.message_id() for _ in range(5_000)}.isdisjoint(
        second.message_id() for _ in range(5_000)
    )


def test_message_ids_fit_into_36_characters_for_longer_than_any_process_lives() -> None:
    a_million_calls_a_second_for_a_century = 10**6 * 100 * 366 * 86_400
    tail = _base36(a_million_calls_a_second_for_a_century)
    assert len(Ids().message_id()) + len(tail) <= 36


def test_message_ids_hold_only_lower_case_letters_and_digits() -> None:
    ids = Ids()
    assert all(re.fullmatch("[0-9a-z]{18,36}", ids.message_id()) for _ in range(3_000))


def test_numbers_behind_a_prefix_stay_different_when_they_grow_longer() -> None:
    made = list(islice(_numbered("p"), 36**4 // 8))
    assert made[:2] == ["p00", "p01"]
    assert made[36**2] == "p100"
    assert len(set(made)) == len(made)


def test_a_message_id_costs_less_than_a_fifth_of_a_microsecond() -> None:
    # The processor's time, in turns so short that a busy computer leaves some of them alone.
    number = 2_000
    best_s = min(timeit.repeat(Ids().message_id, timer=thread_time, number=number, repeat=200))
    assert best_s / number < 0.2e-6


def test_transaction_ids_are_random_uuids() -> None:
    ids = Ids()
    made = {ids.transaction_id() for _ in range(1_000)}
    form = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    assert len(made) == 1_000
    assert all(re.fullmatch(form, made_id) for made_id in made)


def test_a_seed_repeats_everything_and_another_seed_nothing() -> None:
    def sample(ids: Ids) -> list[object]:
        return [ids.message_id(), ids.transaction_id(), ids.random()]

    assert sample(Ids(seed=7)) == sample(Ids(seed=7))
    assert not set(sample(Ids(seed=7))) & set(sample(Ids(seed=8)))
    assert not set(sample(Ids())) & set(sample(Ids()))


def test_random_numbers_are_from_0_up_to_1() -> None:
    ids = Ids(seed=1)
    made = [ids.random() for _ in repeat(None, 1_000)]
    assert all(0.0 <= number < 1.0 for number in made)
    assert max(made) - min(made) > 0.9
