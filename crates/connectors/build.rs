//! Checks every GraphQL operation of the Centra connector against our subset of Centra's schema,
//! and turns the operations into code: their text, cut where an optional field may be left out,
//! and the list of everything that they need of a live schema.
//!
//! An operation that asks for what the schema does not have fails the build with the compiler's
//! own diagnostic, not a call on a customer's machine.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use apollo_compiler::{
    ExecutableDocument, Schema,
    ast::{DirectiveList, OperationType, Value},
    executable::{Field, Selection, SelectionSet},
    validation::Valid,
};

/// Our own mark on what the documentation does not show under this name; never sent.
const OPTIONAL: &str = "directive @optional on FIELD | INLINE_FRAGMENT\n";

/// The line that marks an operation of which only stock has need.
const STOCK: &str = "# @stock";
/// The line that marks an operation of which only shipments have need.
const SHIPMENTS: &str = "# @shipments";
/// The line that marks an operation that lists what orders can carry.
const VALUES: &str = "# @values";
/// The line that marks an operation of which only products have need.
const PRODUCTS: &str = "# @products";
/// The line that marks an operation of which only returns have need.
const RETURNS: &str = "# @returns";
/// The line that names input fields, as `Type.field`, which are sent inside a variable, where the compiler cannot see them.
const SENDS: &str = "# @sends";

/// What stands behind a mark, line by line.
fn marks<'a>(source: &'a str, mark: &'a str) -> impl Iterator<Item = &'a str> {
    source.lines().filter_map(move |line| line.strip_prefix(mark))
}

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stdout, reason = "this is how a build script talks to cargo")]
fn build() -> Result<(), Box<dyn Error>> {
    let centra = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("src/centra");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/centra/schema.graphql");
    println!("cargo::rerun-if-changed=src/centra/operations");

    let path = centra.join("schema.graphql");
    let text = format!("{}\n{OPTIONAL}", fs::read_to_string(&path)?);
    let schema = Schema::parse_and_validate(text, &path).map_err(|invalid| invalid.errors.to_string())?;

    let sources = sources(&centra.join("operations"))?;
    let mut operations = String::new();
    let (mut needs, mut stock_needs, mut shipment_needs) = (Needs::default(), Needs::default(), Needs::default());
    let mut value_needs = Needs::default();
    let mut product_needs = Needs::default();
    let mut return_needs = Needs::default();
    for (path, source) in &sources.operations {
        let whole = sources.with_fragments(source);
        let document =
            ExecutableDocument::parse_and_validate(&schema, whole, path).map_err(|invalid| invalid.errors.to_string())?;
        write_operation(&document, &mut operations)?;
        let needs = if marks(source, STOCK).next().is_some() {
            &mut stock_needs
        } else if marks(source, SHIPMENTS).next().is_some() {
            &mut shipment_needs
        } else if marks(source, VALUES).next().is_some() {
            &mut value_needs
        } else if marks(source, PRODUCTS).next().is_some() {
            &mut product_needs
        } else if marks(source, RETURNS).next().is_some() {
            &mut return_needs
        } else {
            &mut needs
        };
        for operation in document.operations.iter() {
            needs.selections(&schema, &document, &operation.selection_set, None);
        }
        for sent in marks(source, SENDS).flat_map(str::split_whitespace) {
            needs.sent(&schema, sent)?;
        }
    }
    stock_needs.leave_to(&needs);
    operations.push_str(&needs.text("NEEDS", "all operations but those of stock need")?);
    operations.push_str(&stock_needs.text("STOCK_NEEDS", "stock needs beside that")?);
    shipment_needs.leave_to(&needs);
    operations.push_str(&shipment_needs.text("SHIPMENT_NEEDS", "shipments need beside that")?);
    value_needs.leave_to(&needs);
    operations.push_str(&value_needs.text("VALUE_NEEDS", "listing what orders can carry needs beside that")?);
    product_needs.leave_to(&needs);
    operations.push_str(&product_needs.text("PRODUCT_NEEDS", "products need beside that")?);
    return_needs.leave_to(&needs);
    operations.push_str(&return_needs.text("RETURN_NEEDS", "returns need beside that")?);
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("centra_operations.rs"), operations)?;
    Ok(())
}

struct Sources {
    operations: Vec<(PathBuf, String)>,
    fragments: BTreeMap<String, String>,
}

fn sources(folder: &Path) -> Result<Sources, Box<dyn Error>> {
    let mut found = Sources { operations: Vec::new(), fragments: BTreeMap::new() };
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|e| e == "graphql"));
    paths.sort();
    for path in paths {
        let text = fs::read_to_string(&path)?;
        let fragment = text.lines().find_map(|line| line.strip_prefix("fragment ")?.split_whitespace().next());
        match fragment {
            Some(name) => {
                found.fragments.insert(name.to_owned(), text.clone());
            }
            None => found.operations.push((path, text)),
        }
    }
    Ok(found)
}

impl Sources {
    /// The operation followed by the fragments that it uses; an unused one would be an error.
    fn with_fragments(&self, operation: &str) -> String {
        let mut whole = operation.to_owned();
        let mut taken = BTreeSet::new();
        loop {
            let next = self.fragments.iter().find(|(name, _)| {
                !taken.contains(*name)
                    && whole.split("...").skip(1).any(|rest| rest.split(|c: char| !c.is_alphanumeric()).next() == Some(name))
            });
            let Some((name, text)) = next else {
                return whole;
            };
            taken.insert(name.clone());
            whole.push_str(text);
        }
    }
}

/// The document as parts: text that always goes, and text that goes unless the instance refused it.
struct Parts(Vec<(String, Vec<String>)>);

impl Parts {
    fn push(&mut self, text: &str) {
        match self.0.last_mut() {
            Some((last, guards)) if guards.is_empty() => last.push_str(text),
            _ => self.0.push((text.to_owned(), Vec::new())),
        }
    }

    fn set(&mut self, set: &SelectionSet) {
        self.push("{");
        for selection in &set.selections {
            if is_optional(selection.directives()) {
                let mut inner = Parts(Vec::new());
                inner.selection(selection);
                let text = inner.0.into_iter().map(|(text, _)| text).collect();
                self.0.push((text, guards(selection)));
            } else {
                self.selection(selection);
            }
        }
        self.push("}");
    }

    fn selection(&mut self, selection: &Selection) {
        match selection {
            Selection::Field(field) => self.field(field),
            Selection::FragmentSpread(spread) => self.push(&format!("...{} ", spread.fragment_name)),
            Selection::InlineFragment(inline) => {
                self.push("...");
                if let Some(condition) = &inline.type_condition {
                    self.push(&format!(" on {condition}"));
                }
                self.set(&inline.selection_set);
            }
        }
    }

    fn field(&mut self, field: &Field) {
        if let Some(alias) = &field.alias {
            self.push(&format!("{alias}:"));
        }
        self.push(field.name.as_str());
        if !field.arguments.is_empty() {
            let arguments: Vec<String> =
                field.arguments.iter().map(|a| format!("{}:{}", a.name, a.value.serialize().no_indent())).collect();
            self.push(&format!("({})", arguments.join(",")));
        }
        if field.selection_set.is_empty() {
            self.push(" ");
        } else {
            self.set(&field.selection_set);
        }
    }
}

fn is_optional(directives: &DirectiveList) -> bool {
    directives.iter().any(|directive| directive.name == "optional")
}

/// The names whose refusal means that this selection has to be left out: its own alone, those
/// inside it together with their type (`Voucher.code`), and the types of what it is asked with.
fn guards(selection: &Selection) -> Vec<String> {
    match selection {
        Selection::Field(field) => {
            let mut guards = vec![field.name.to_string()];
            inner_guards(&field.selection_set, &mut guards);
            let given = field.arguments.iter().filter_map(|given| field.definition.argument_by_name(&given.name));
            let types = given.map(|argument| argument.ty.inner_named_type().to_string());
            guards.extend(types.filter(|ty| !["Int", "String", "Boolean", "Float"].contains(&ty.as_str())));
            guards
        }
        Selection::InlineFragment(inline) => {
            let mut guards: Vec<String> = inline.type_condition.iter().map(ToString::to_string).collect();
            inner_guards(&inline.selection_set, &mut guards);
            guards
        }
        Selection::FragmentSpread(_) => Vec::new(),
    }
}

fn inner_guards(set: &SelectionSet, guards: &mut Vec<String>) {
    for field in set.selections.iter().filter_map(Selection::as_field) {
        guards.push(format!("{}.{}", set.ty, field.name));
        inner_guards(&field.selection_set, guards);
    }
}

fn write_operation(document: &ExecutableDocument, out: &mut String) -> Result<(), Box<dyn Error>> {
    for operation in document.operations.iter() {
        let name = operation.name.as_ref().ok_or("an operation needs a name")?;
        let mut parts = Parts(Vec::new());
        parts.push(&format!("{} {name}", operation.operation_type));
        if !operation.variables.is_empty() {
            let variables: Vec<String> = operation.variables.iter().map(|v| format!("${}:{}", v.name, v.ty)).collect();
            parts.push(&format!("({})", variables.join(",")));
        }
        parts.set(&operation.selection_set);
        for fragment in document.fragments.values() {
            parts.push(&format!(" fragment {} on {}", fragment.name, fragment.selection_set.ty));
            parts.set(&fragment.selection_set);
        }
        let mutations = match operation.operation_type {
            OperationType::Mutation => operation.selection_set.selections.len(),
            OperationType::Query | OperationType::Subscription => 0,
        };
        let constant = constant_case(name);
        writeln!(out, "/// The operation `{name}`.")?;
        writeln!(
            out,
            "pub static {constant}: Operation = Operation {{ name: {:?}, mutations: {mutations}, parts: &[",
            name.as_str()
        )?;
        for (text, guards) in parts.0 {
            writeln!(out, "    Part {{ text: {text:?}, guards: &{guards:?} }},")?;
        }
        writeln!(out, "] }};")?;
    }
    Ok(())
}

fn constant_case(name: &str) -> String {
    let mut constant = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !constant.is_empty() {
            constant.push('_');
        }
        constant.extend(c.to_uppercase());
    }
    constant
}

struct FieldNeed {
    ty: String,
    /// Arguments used, with their printed types.
    arguments: BTreeMap<String, String>,
    /// The optional part that it is in, if it is in no other.
    part: Option<String>,
}

/// What the operations need, each thing once; needed anywhere without the mark means needed.
#[derive(Default)]
struct Needs {
    /// Type and field → what is needed of it.
    fields: BTreeMap<(String, String), FieldNeed>,
    /// Input type and field → printed type, and the optional part that alone needs it.
    inputs: BTreeMap<(String, String), (String, Option<String>)>,
    /// Enum type and value → the optional part that alone needs it.
    values: BTreeMap<(String, String), Option<String>>,
}

/// What is needed anywhere without an optional part is needed.
fn unless_needed(known: &mut Option<String>, part: Option<&str>) {
    if part.is_none() {
        *known = None;
    }
}

impl Needs {
    fn selections(&mut self, schema: &Valid<Schema>, document: &ExecutableDocument, set: &SelectionSet, part: Option<&str>) {
        if set.ty.starts_with("__") {
            return;
        }
        for selection in &set.selections {
            let own = if is_optional(selection.directives()) { guards(selection).into_iter().next() } else { None };
            let part = part.or(own.as_deref());
            match selection {
                Selection::Field(field) => {
                    if !field.name.starts_with("__") {
                        self.field(schema, set.ty.as_str(), field, part);
                        self.selections(schema, document, &field.selection_set, part);
                    }
                }
                Selection::InlineFragment(inline) => self.selections(schema, document, &inline.selection_set, part),
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = spread.fragment_def(document) {
                        self.selections(schema, document, &fragment.selection_set, part);
                    }
                }
            }
        }
    }

    fn field(&mut self, schema: &Valid<Schema>, owner: &str, field: &Field, part: Option<&str>) {
        let key = (owner.to_owned(), field.name.to_string());
        let entry = self.fields.entry(key).or_insert_with(|| FieldNeed {
            ty: field.definition.ty.to_string(),
            arguments: BTreeMap::new(),
            part: part.map(str::to_owned),
        });
        if part.is_none() {
            entry.part = None;
        }
        for argument in &field.arguments {
            if let Some(definition) = field.definition.argument_by_name(&argument.name) {
                entry.arguments.insert(argument.name.to_string(), definition.ty.to_string());
            }
        }
        for argument in &field.arguments {
            if let Some(definition) = field.definition.argument_by_name(&argument.name) {
                self.value(schema, definition.ty.inner_named_type(), &argument.value, part);
            }
        }
    }

    fn value(&mut self, schema: &Valid<Schema>, ty: &str, value: &Value, part: Option<&str>) {
        match value {
            Value::Enum(name) => {
                let known = self.values.entry((ty.to_owned(), name.to_string())).or_insert_with(|| part.map(str::to_owned));
                unless_needed(known, part);
            }
            Value::List(items) => items.iter().for_each(|item| self.value(schema, ty, item, part)),
            Value::Object(fields) => {
                let Some(input) = schema.get_input_object(ty) else {
                    return;
                };
                for (name, value) in fields {
                    if let Some(definition) = input.fields.get(name) {
                        let key = (ty.to_owned(), name.to_string());
                        let known =
                            self.inputs.entry(key).or_insert_with(|| (definition.ty.to_string(), part.map(str::to_owned)));
                        unless_needed(&mut known.1, part);
                        self.value(schema, definition.ty.inner_named_type(), value, part);
                    }
                }
            }
            _ => {}
        }
    }

    /// A field of an input object that goes inside a variable.
    fn sent(&mut self, schema: &Valid<Schema>, named: &str) -> Result<(), Box<dyn Error>> {
        let (ty, field) = named.split_once('.').ok_or_else(|| format!("{named} is not Type.field"))?;
        let definition = schema.get_input_object(ty).and_then(|input| input.fields.get(field));
        let definition = definition.ok_or_else(|| format!("the schema has no input field {named}"))?;
        self.inputs.insert((ty.to_owned(), field.to_owned()), (definition.ty.to_string(), None));
        Ok(())
    }

    /// Takes out what others see to already.
    fn leave_to(&mut self, others: &Needs) {
        self.fields.retain(|key, need| {
            !others.fields.get(key).is_some_and(|other| {
                (other.part.is_none() || need.part.is_some())
                    && need.arguments.keys().all(|name| other.arguments.contains_key(name))
            })
        });
        self.inputs.retain(|key, _| !others.inputs.contains_key(key));
        self.values.retain(|key, _| !others.values.contains_key(key));
    }

    fn text(&self, name: &str, whose: &str) -> Result<String, Box<dyn Error>> {
        let mut out = format!("/// Everything that {whose} of a live schema.\npub static {name}: &[Need] = &[\n");
        for ((owner, field), FieldNeed { ty, arguments, part }) in &self.fields {
            let arguments: Vec<(&String, &String)> = arguments.iter().collect();
            writeln!(
                out,
                "    Need::Field {{ owner: {owner:?}, field: {field:?}, ty: {ty:?}, arguments: &{arguments:?}, part: {part:?} }},"
            )?;
        }
        for ((owner, field), (ty, part)) in &self.inputs {
            writeln!(out, "    Need::Input {{ owner: {owner:?}, field: {field:?}, ty: {ty:?}, part: {part:?} }},")?;
        }
        for ((owner, value), part) in &self.values {
            writeln!(out, "    Need::Value {{ owner: {owner:?}, value: {value:?}, part: {part:?} }},")?;
        }
        out.push_str("];\n");
        Ok(out)
    }
}
