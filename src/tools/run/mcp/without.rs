//! In place of `peer.rs` where the program was built without the feature `mcp`: no server can be reached.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::sync::Notify;

use crate::config::agent::mcp::Reach;

#[allow(dead_code)]
pub enum Broken {
    Gone(String),
    Refused(String),
}

#[allow(dead_code)]
pub struct Wanted<'a> {
    pub name: &'a str,
    pub reach: &'a Reach,
    pub filled: BTreeMap<String, String>,
    pub extra_ca_pem: Option<&'a [u8]>,
    pub is_modern: bool,
}

pub struct Unopened {
    pub why: String,
    pub wants_modern: bool,
}

pub struct Connection(Infallible);

#[derive(Clone, Debug)]
pub struct Caller(Infallible);

pub async fn open(_: Wanted<'_>) -> Result<Connection, Unopened> {
    Err(Unopened { why: "is out of reach: this mynah was built without the feature `mcp`".into(), wants_modern: false })
}

impl Connection {
    pub fn caller(&self) -> Caller {
        match self.0 {}
    }

    pub fn changed(&self) -> Arc<Notify> {
        match self.0 {}
    }

    pub async fn ended(&mut self) {
        match self.0 {}
    }

    pub async fn close(self) {
        match self.0 {}
    }
}

impl Caller {
    pub async fn tools(&self) -> Result<Vec<Value>, Broken> {
        match self.0 {}
    }

    pub async fn call(&self, _: &str, _: Map<String, Value>) -> Result<Value, Broken> {
        match self.0 {}
    }

    pub async fn ping(&self) -> Result<(), Broken> {
        match self.0 {}
    }
}
