//! JSON Schema, as a server's tool has it, into the part of OpenAPI's schema that the Live service takes.
//!
//! The service closes the connection (1007) on any word or form beyond that part, so nothing is passed through:
//! `read.rs` makes a small node of what is understood, and `write.rs` makes the schema of the node. What has no
//! word there (a pattern, a default) is told in the description where it is short. What cannot be said at all (an
//! object of any members, a schema that contains itself, one nested too deep) becomes a text that holds JSON, and is
//! taken apart again before the call. Rules: live-protocol.md 2.3; those of `config/agent/schema.rs` hold too.

mod join;
mod read;
mod write;

use serde_json::Value;

use crate::config::agent::mcp::WayBack;

/// Objects and lists inside the arguments; with an `anyOf` at each level it stays within the eight levels of
/// `config/agent/schema.rs`.
const DEPTH_MAX: usize = 3;
/// Schemas inside one tool's; more is no call by voice.
const NODES_MAX: usize = 400;
/// Members of one object.
const MEMBERS_MAX: usize = 48;
/// Bytes of a tool's translated parameters: about four thousand tokens.
const PARAMETERS_BYTES_MAX: usize = 16 << 10;

/// What became of a schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Translated {
    /// `parameters` of the declaration; none where the tool takes no arguments.
    pub parameters: Option<Value>,
    /// From arguments by that schema to those of the server's.
    pub way_back: WayBack,
}

/// Translates a tool's `inputSchema`.
///
/// # Errors
/// The end of a sentence: why it cannot be.
pub fn translate(input: &Value) -> Result<Translated, String> {
    let none = Translated { parameters: None, way_back: WayBack::default() };
    let mut node = read::root(input);
    let object = match &mut node.shape {
        Shape::Any => return Ok(none),
        Shape::Forms(Forms { object: Some(object), .. }) => object,
        _ => return Err("its arguments are not those of an object".into()),
    };
    if object.members.is_empty() {
        return Ok(none);
    }
    let required = object.required.len();
    if required > MEMBERS_MAX {
        return Err(format!("it needs {required} arguments in every call; at most {MEMBERS_MAX} can be declared"));
    }
    let (parameters, way_back) = write::top(object, write::Words::All);
    if parameters.to_string().len() <= PARAMETERS_BYTES_MAX {
        return Ok(Translated { parameters: Some(parameters), way_back });
    }
    let (parameters, way_back) = write::top(object, write::Words::None);
    match parameters.to_string().len() {
        bytes if bytes <= PARAMETERS_BYTES_MAX => Ok(Translated { parameters: Some(parameters), way_back }),
        bytes => Err(format!("its arguments take {bytes} bytes to declare; at most {PARAMETERS_BYTES_MAX} are")),
    }
}

/// What is understood of a schema.
#[derive(Clone, Debug, Default)]
struct Node {
    description: String,
    /// What the service has no word for: "pattern: ^a".
    notes: Vec<String>,
    is_nullable: bool,
    shape: Shape,
}

/// Which values there are.
#[derive(Clone, Debug, Default)]
enum Shape {
    /// Whatever one likes.
    #[default]
    Any,
    /// None.
    Never,
    /// Something that cannot be declared: JSON in a text.
    Opaque,
    /// These.
    Forms(Forms),
}

/// The kinds of values there are, each at most once.
#[derive(Clone, Debug, Default)]
struct Forms {
    text: Option<TextForm>,
    number: Option<NumberForm>,
    truth: Option<()>,
    list: Option<ListForm>,
    object: Option<ObjectForm>,
}

#[derive(Clone, Debug, Default)]
struct TextForm {
    /// None: any.
    words: Option<Vec<String>>,
    is_date_time: bool,
}

#[derive(Clone, Debug, Default)]
struct NumberForm {
    is_whole: bool,
    min: Option<f64>,
    max: Option<f64>,
    format: Option<&'static str>,
}

#[derive(Clone, Debug, Default)]
struct ListForm {
    items: Box<Node>,
    min: Option<u64>,
    max: Option<u64>,
}

#[derive(Clone, Debug, Default)]
struct ObjectForm {
    /// In the order of the schema, as far as it has one.
    members: Vec<(String, Node)>,
    required: Vec<String>,
}

#[cfg(test)]
mod tests;
