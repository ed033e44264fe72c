#![allow(dead_code, unused)]
#[path = "../src/serve.rs"] mod serve;
#[path = "../src/webhooks.rs"] mod webhooks;
#[path = "../src/api/mod.rs"] mod api;
#[path = "../src/pages/mod.rs"] mod pages;
#[path = "../src/view.rs"] mod view;
fn main() {}
