-- The device model. An absent instance is '', an absent EVSE or connector 0; names compare without
-- regard to the case of ASCII letters. Nothing here refers to `device_component`: a value may wait
-- for a component that comes back.

-- Components as they were defined last, in the format of component files.
CREATE TABLE device_component (
    component TEXT NOT NULL COLLATE NOCASE,
    component_instance TEXT NOT NULL COLLATE NOCASE,
    evse_id INTEGER NOT NULL,
    connector_id INTEGER NOT NULL,
    definition TEXT NOT NULL,
    PRIMARY KEY (component, component_instance, evse_id, connector_id)
);

-- Values that were set at run time. What a definition gives is not here. Not WITHOUT ROWID: a
-- value is written in place then, in a table whose pages hold more rows and no key is moved.
CREATE TABLE device_value (
    component TEXT NOT NULL COLLATE NOCASE,
    component_instance TEXT NOT NULL COLLATE NOCASE,
    evse_id INTEGER NOT NULL,
    connector_id INTEGER NOT NULL,
    variable TEXT NOT NULL COLLATE NOCASE,
    variable_instance TEXT NOT NULL COLLATE NOCASE,
    attribute TEXT NOT NULL,
    value TEXT,
    source TEXT NOT NULL,
    PRIMARY KEY (
        component, component_instance, evse_id, connector_id, variable, variable_instance, attribute
    )
);

CREATE TABLE device_monitor (
    monitor_id INTEGER PRIMARY KEY,
    component TEXT NOT NULL COLLATE NOCASE,
    component_instance TEXT NOT NULL COLLATE NOCASE,
    evse_id INTEGER NOT NULL,
    connector_id INTEGER NOT NULL,
    variable TEXT NOT NULL COLLATE NOCASE,
    variable_instance TEXT NOT NULL COLLATE NOCASE,
    kind TEXT NOT NULL,
    value REAL NOT NULL,
    severity INTEGER NOT NULL,
    in_transaction INTEGER NOT NULL,
    config TEXT NOT NULL,
    triggered INTEGER NOT NULL
);

CREATE TRIGGER device_component_removed AFTER DELETE ON device_component BEGIN
    DELETE FROM device_value
    WHERE component = OLD.component AND component_instance = OLD.component_instance
        AND evse_id = OLD.evse_id AND connector_id = OLD.connector_id;
    DELETE FROM device_monitor
    WHERE component = OLD.component AND component_instance = OLD.component_instance
        AND evse_id = OLD.evse_id AND connector_id = OLD.connector_id;
END;

-- For a person with sqlite3: every attribute of every variable with the value it has after a start.
-- Values that must not be read (WriteOnly) are not shown.
CREATE VIEW device_variable AS
WITH variable AS (
    SELECT
        component.component, component.component_instance,
        component.evse_id, component.connector_id,
        json_extract(property.value, '$.variable_name') AS variable,
        ifnull(json_extract(property.value, '$.instance'), '') AS variable_instance,
        property.value AS definition
    FROM device_component AS component, json_each(component.definition, '$.properties') AS property
), attribute AS (
    SELECT
        variable.*,
        ifnull(json_extract(entry.value, '$.type'), 'Actual') AS attribute,
        ifnull(json_extract(entry.value, '$.mutability'), 'ReadWrite') AS mutability,
        json_extract(entry.value, '$.value') AS given
    FROM variable, json_each(variable.definition, '$.attributes') AS entry
)
SELECT
    a.component, a.component_instance, a.evse_id, a.connector_id, a.variable, a.variable_instance,
    a.attribute, a.mutability,
    CASE
        WHEN a.mutability = 'WriteOnly' THEN '(write only)'
        WHEN v.source IS NOT NULL THEN v.value
        WHEN a.given IS NOT NULL THEN a.given
        WHEN a.attribute = 'Actual' THEN json_extract(a.definition, '$.default')
    END AS value,
    ifnull(v.source, 'default') AS source,
    json_extract(a.definition, '$.characteristics.dataType') AS data_type,
    json_extract(a.definition, '$.characteristics.unit') AS unit
FROM attribute AS a
LEFT JOIN device_value AS v
    ON v.component = a.component AND v.component_instance = a.component_instance
    AND v.evse_id = a.evse_id AND v.connector_id = a.connector_id
    AND v.variable = a.variable AND v.variable_instance = a.variable_instance
    AND v.attribute = a.attribute;
