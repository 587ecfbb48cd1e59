//! A checker for the part of JSON Schema that `docs/json.schema.json` uses. It is stricter than the
//! standard: a member that an object's schema does not name is a problem.

use std::sync::LazyLock;

use serde_json::Value;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let text = include_str!("../../../../../docs/json.schema.json");
    serde_json::from_str(text).expect("JSON")
});

/// Returns the whole schema.
pub(super) fn schema() -> &'static Value {
    &SCHEMA
}

/// Returns a definition of the schema.
#[track_caller]
pub(super) fn definition(name: &str) -> &'static Value {
    let found = SCHEMA["$defs"].get(name);
    found.unwrap_or_else(|| panic!("the schema does not define `{name}`"))
}

/// Returns what is wrong with a value, each with its place.
pub(super) fn problems(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, value, "", &mut found);
    found
}

fn check(schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    let keywords = schema.as_object().expect("a schema is an object");
    for (keyword, rule) in keywords {
        let problem = match keyword.as_str() {
            "$ref" => {
                check(referenced(rule), value, place, found);
                None
            }
            "anyOf" => any_of(rule, value),
            "type" => (!has_type(rule, value)).then(|| format!("is not {rule}")),
            "enum" => (!list(rule).contains(value)).then(|| format!("is not one of {rule}")),
            "const" => (rule != value).then(|| format!("is not {rule}")),
            "minimum" => (value.as_f64() < rule.as_f64() && value.is_number())
                .then(|| format!("is less than {rule}")),
            "pattern" => value
                .as_str()
                .is_some_and(|value| !matches(text(rule), value))
                .then(|| format!("does not match {rule}")),
            "items" => {
                for (at, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(rule, item, &format!("{place}[{at}]"), found);
                }
                None
            }
            "required" => missing(rule, value),
            "properties" => {
                members(schema, value, place, found);
                None
            }
            // With `properties`.
            "additionalProperties" if keywords.contains_key("properties") => None,
            "additionalProperties" => {
                for (name, member) in value.as_object().into_iter().flatten() {
                    check(rule, member, &format!("{place}.{name}"), found);
                }
                None
            }
            keyword => panic!("the schema uses `{keyword}`, which this does not check"),
        };
        found.extend(problem.map(|problem| format!("{place} {problem}: {value}")));
    }
}

fn any_of(schemas: &Value, value: &Value) -> Option<String> {
    let each: Vec<_> = list(schemas).iter().map(|it| problems(it, value)).collect();
    let is_none = !each.iter().any(Vec::is_empty);
    is_none.then(|| format!("matches none: {each:#?}"))
}

fn members(schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    for (name, member) in value.as_object().into_iter().flatten() {
        let place = format!("{place}.{name}");
        match schema["properties"].get(name) {
            Some(schema) => check(schema, member, &place, found),
            None => found.push(format!("{place} is not in the schema")),
        }
    }
}

fn missing(names: &Value, value: &Value) -> Option<String> {
    let object = value.as_object()?;
    let missing: Vec<_> = list(names)
        .iter()
        .filter(|name| !object.contains_key(text(name)))
        .collect();
    (!missing.is_empty()).then(|| format!("lacks {missing:?}"))
}

fn has_type(types: &Value, value: &Value) -> bool {
    let is = |name: &Value| match text(name) {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("`{other}` is not a type"),
    };
    types
        .as_array()
        .map_or_else(|| is(types), |types| types.iter().any(is))
}

/// Matches the two patterns that there are.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern {
        "^sha256:[0-9a-f]{64}$" => text.strip_prefix("sha256:").is_some_and(|digits| {
            let is_hex = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            digits.len() == 64 && digits.bytes().all(is_hex)
        }),
        "^[0-9]{4,5}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{7}Z$" => {
            let shape = "0000-00-00T00:00:00.0000000Z";
            let fifth = text.strip_prefix(|first: char| first.is_ascii_digit());
            let text = fifth
                .filter(|rest| rest.len() == shape.len())
                .unwrap_or(text);
            text.len() == shape.len()
                && text.chars().zip(shape.chars()).all(|(it, at)| match at {
                    '0' => it.is_ascii_digit(),
                    at => it == at,
                })
        }
        other => panic!("`{other}` is not a pattern that this checks"),
    }
}

fn referenced(reference: &Value) -> &'static Value {
    let name = text(reference).strip_prefix("#/$defs/");
    definition(name.expect("a definition"))
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().expect("a list")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

/// Visits the members of all objects that a schema describes, not those of other definitions.
pub(super) fn for_each_member(schema: &Value, visit: &mut dyn FnMut(&str, &Value)) {
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        visit(name, member);
        for_each_member(member, visit);
    }
    if let Some(items) = schema.get("items") {
        for_each_member(items, visit);
    }
}

/// Returns the type of what a schema describes, without null.
pub(super) fn type_of(schema: &Value) -> String {
    if let Some(reference) = schema.get("$ref") {
        return type_of(referenced(reference));
    }
    if let Some(any) = schema.get("anyOf") {
        return type_of(&list(any)[0]);
    }
    match &schema["type"] {
        Value::Array(types) => text(&types[0]).to_owned(),
        name => text(name).to_owned(),
    }
}

#[test]
fn what_breaks_the_schema_is_seen() {
    let digest = format!("sha256:{}", "0a".repeat(32));
    let good = serde_json::json!({ "digest": digest, "size": 1, "mediaType": "x" });
    let source = definition("source");
    assert_eq!(problems(source, &good), [""; 0]);
    for (member, value) in [
        ("digest", serde_json::json!("sha256:00")),
        ("size", serde_json::json!(-1)),
        ("size", serde_json::json!(1.5)),
        ("mediaType", Value::Null),
        ("more", serde_json::json!(1)),
    ] {
        let mut bad = good.clone();
        bad[member] = value;
        assert_eq!(problems(source, &bad).len(), 1, "{bad}");
    }
    assert_eq!(problems(source, &serde_json::json!({})).len(), 1);
    assert_eq!(
        problems(definition("time"), &"2024-05-01T00:00:00.0000000Z".into()),
        [""; 0]
    );
    assert_eq!(
        problems(definition("time"), &"60056-05-01T00:00:00.0000000Z".into()),
        [""; 0]
    );
    assert_eq!(problems(definition("time"), &"2024-05-01".into()).len(), 1);
    assert_eq!(
        problems(
            definition("remove"),
            &serde_json::json!({"path": "/x", "size": null, "wasRest": false})
        ),
        [""; 0]
    );
}
