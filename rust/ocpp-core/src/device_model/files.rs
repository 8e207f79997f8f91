//! Component files: a folder of JSON files becomes a list of components, or a list of all that is
//! wrong with it.
//!
//! The format is that of libocpp; members that nobody reads here are annotations. Files under
//! `custom/` replace those of the same component under `standardized/`, and both those under
//! `templates/`. One file may stand for many components: `evse_id` and `connector_id` are a number,
//! a range like `"1-128"`, or `"*"` for all that the station has. Where one component is different,
//! a file for it alone, in the same folder or a stronger one, takes the place of that copy.

mod component;
mod numbering;
mod reader;
mod text;
mod tree;
mod variable;

use std::collections::{HashMap, HashSet};

use self::component::Identity;
pub(super) use self::component::{Draft, DraftVariable, Numbers, Part, same, same_instance};
pub(super) use self::reader::Found;
use self::tree::Node;
use super::definition::{ComponentDefinition, ComponentKey, VariableDefinition};
use super::required;
use crate::writer::Writer;

#[cfg(test)]
mod tests;

/// Most components that one file may stand for.
const MAX_COPIES: usize = 100_000;

/// A file of the folder; somebody else has read it.
#[derive(Clone, Copy, Debug)]
pub struct SourceFile<'a> {
    /// Relative to the folder, with `/` between its parts: `custom/EVSE_1.json`.
    pub path: &'a str,
    /// All of it.
    pub content: &'a [u8],
}

/// What is wrong with a component file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The path as it was given; empty if the problem is that a component is in no file.
    pub file: String,
    /// JSON pointer to the place (RFC 6901); empty for the whole file.
    pub pointer: String,
    /// The component or variable as people write it: `EVSE[1].Power`, `Connector[1,2]`,
    /// `NetworkConfiguration(1)`, `OCPPCommCtrlr.MessageTimeout(Default)`; empty if nobody knows.
    pub variable: String,
    /// What is wrong.
    pub message: String,
}

impl Problem {
    /// With control characters, which names in a file may have, written as `\u{a}`: a problem is a
    /// line.
    fn in_one_line(mut self) -> Self {
        for text in [&mut self.pointer, &mut self.variable, &mut self.message] {
            if text.contains(char::is_control) {
                let escaped = text.chars().map(|letter| match letter {
                    letter if letter.is_control() => letter.escape_unicode().to_string(),
                    letter => letter.to_string(),
                });
                *text = escaped.collect();
            }
        }
        self
    }
}

/// Number of connectors of EVSE 1, 2 and so on; `None`: whatever the files say.
pub type Topology<'a> = Option<&'a [u32]>;

/// A component that a file stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copy {
    /// Index of the draft.
    pub(super) draft: usize,
    pub(super) evse: Option<u32>,
    pub(super) connector: Option<u32>,
}

/// All files of a folder, as far as they could be read.
pub(super) struct Folder<'n> {
    /// In the order of their paths.
    pub(super) drafts: Vec<Draft<'n>>,
    /// Files that could not be read, by the beginning of their names, and components that nobody
    /// knows the places of.
    unknown: Vec<&'n str>,
    /// The components, without those that another file replaces.
    pub(super) copies: Vec<Copy>,
}

impl Folder<'_> {
    /// Whether a file that could not be read is probably about that component.
    pub(super) fn may_hide(&self, component: &str) -> bool {
        self.unknown
            .iter()
            .any(|name| name.get(..component.len()).is_some_and(|start| same(start, component)))
    }

    /// The components of a draft.
    pub(super) fn copies_of(&self, draft: usize) -> &[Copy] {
        let first = self.copies.partition_point(|copy| copy.draft < draft);
        let end = self.copies.partition_point(|copy| copy.draft <= draft);
        &self.copies[first..end]
    }
}

/// Reads all files of a folder.
///
/// `versions` (`"2.0.1"`, `"2.1"`) are those that the station offers: the variables that these
/// require have to be there. The components come station first, then EVSE by EVSE, by name.
///
/// # Errors
///
/// All problems of all files, in the order of the paths and of the places in each file; those that
/// belong to no file come first. Nothing is loaded then.
pub fn load(
    files: &[SourceFile<'_>],
    topology: Topology<'_>,
    versions: &[&str],
) -> Result<Vec<ComponentDefinition>, Vec<Problem>> {
    let mut files = files.to_vec();
    files.sort_by_key(|file| file.path);
    let mut found = Vec::new();
    let documents: Vec<_> = files.iter().map(|file| parse(file, &mut found)).collect();
    let mut folder = Folder { drafts: Vec::new(), unknown: Vec::new(), copies: Vec::new() };
    for (file, document) in files.iter().zip(&documents) {
        match document.as_ref().and_then(|node| component::read(file.path, node, &mut found)) {
            Some(draft) => folder.drafts.push(draft),
            None => folder.unknown.push(file.path.rsplit('/').next().unwrap_or_default()),
        }
    }
    let copies = expand(&folder.drafts, topology, &mut found);
    let is_lost = |draft: &&Draft<'_>| topology.is_none() && draft.needs_topology();
    folder.unknown.extend(folder.drafts.iter().filter(is_lost).map(|draft| draft.name));
    folder.copies = select(&folder.drafts, copies, &mut found);
    numbering::check(&folder, topology, &mut found);
    required::check(&folder, versions, &mut found);
    if found.is_empty() { Ok(build(folder)) } else { Err(sorted(found)) }
}

/// Reads one component, which is no template: defined at run time, or the `text` of another.
///
/// # Errors
///
/// All problems of the file, in the order of their places.
pub fn parse_component(path: &str, content: &[u8]) -> Result<ComponentDefinition, Vec<Problem>> {
    let mut found = Vec::new();
    let document = parse(&SourceFile { path, content }, &mut found);
    let draft = document.as_ref().and_then(|node| component::read(path, node, &mut found));
    if let Some(draft) = &draft {
        for (part, numbers) in [(Part::Evse, draft.evse), (Part::Connector, draft.connector)] {
            if !numbers.is_exact() {
                let message = "one component cannot stand for many".to_owned();
                found.push(draft.problem(part, &draft.label(), message));
            }
        }
    }
    match draft {
        Some(draft) if found.is_empty() => {
            let copies = expand(std::slice::from_ref(&draft), None, &mut found);
            let folder = Folder { drafts: vec![draft], unknown: Vec::new(), copies };
            build(folder).pop().ok_or_else(Vec::new)
        }
        _ => Err(sorted(found)),
    }
}

fn parse<'n>(file: &SourceFile<'n>, found: &mut Vec<Found>) -> Option<Node<'n>> {
    match tree::parse(file.content) {
        Ok(document) => Some(document),
        Err(message) => {
            found.push(Found::in_file(file.path, message));
            None
        }
    }
}

fn sorted(mut found: Vec<Found>) -> Vec<Problem> {
    found.sort_by(|one, other| {
        (&one.problem.file, &one.order).cmp(&(&other.problem.file, &other.order))
    });
    found.into_iter().map(|found| found.problem.in_one_line()).collect()
}

/// The components that the files stand for, in the order of the drafts.
fn expand(drafts: &[Draft<'_>], topology: Topology<'_>, found: &mut Vec<Found>) -> Vec<Copy> {
    let mut copies = Vec::with_capacity(drafts.len());
    for (index, draft) in drafts.iter().enumerate() {
        let all = |part| {
            let message = "\"*\" needs to know the station's EVSEs, and nobody has named them";
            draft.problem(part, &draft.label(), message.to_owned())
        };
        if topology.is_none() && draft.evse == Numbers::All {
            found.push(all(Part::Evse));
            continue;
        }
        if topology.is_none() && draft.connector == Numbers::All {
            found.push(all(Part::Connector));
            continue;
        }
        let topology = topology.unwrap_or_default();
        let before = copies.len();
        for evse in numbers(draft.evse, topology.len() as u32) {
            let connectors = evse.and_then(|evse| topology.get(evse as usize - 1)).copied();
            for connector in numbers(draft.connector, connectors.unwrap_or_default()) {
                copies.push(Copy { draft: index, evse, connector });
            }
            if copies.len() - before > MAX_COPIES {
                let message = format!("stands for more than {MAX_COPIES} components");
                found.push(draft.problem(Part::Evse, &draft.label(), message));
                copies.truncate(before);
                break;
            }
        }
    }
    copies
}

fn numbers(numbers: Numbers, all: u32) -> impl Iterator<Item = Option<u32>> {
    let (absent, first, last) = match numbers {
        Numbers::Absent => (true, 1, 0),
        Numbers::Range(first, last) => (false, first, last),
        Numbers::All => (false, 1, all),
    };
    absent.then_some(None).into_iter().chain((first..=last).map(Some))
}

/// Which file takes the place of which: the folder counts, then whether it is for one alone.
fn rank(draft: &Draft<'_>) -> (u8, bool) {
    let layer = match draft.file.split('/').next() {
        Some("templates") => 0,
        Some("custom") => 2,
        _ => 1,
    };
    (layer, draft.evse.is_exact() && draft.connector.is_exact())
}

/// Leaves out what another file replaces.
fn select(drafts: &[Draft<'_>], copies: Vec<Copy>, found: &mut Vec<Found>) -> Vec<Copy> {
    let mut names = HashMap::new();
    let groups: Vec<usize> = drafts
        .iter()
        .map(|draft| {
            let next = names.len();
            let identity = Identity { name: draft.name, instance: draft.instance };
            *names.entry(identity).or_insert(next)
        })
        .collect();
    let ranks: Vec<_> = drafts.iter().map(rank).collect();
    let mut chosen = HashMap::with_capacity(copies.len());
    let mut told = HashSet::new();
    for copy in &copies {
        let key = (groups[copy.draft], copy.evse, copy.connector);
        let Some(other) = chosen.insert(key, copy.draft) else {
            continue;
        };
        if ranks[other] > ranks[copy.draft] {
            chosen.insert(key, other);
        } else if ranks[other] == ranks[copy.draft] && told.insert((other, copy.draft)) {
            let (draft, file) = (&drafts[copy.draft], drafts[other].file);
            let message = format!("the same component as in {file}");
            let label = draft.label().at(copy.evse, copy.connector);
            found.push(draft.problem(Part::Name, &label, message));
        }
    }
    let is_chosen = |copy: &Copy| {
        chosen.get(&(groups[copy.draft], copy.evse, copy.connector)) == Some(&copy.draft)
    };
    copies.into_iter().filter(is_chosen).collect()
}

fn build(folder: Folder<'_>) -> Vec<ComponentDefinition> {
    let Folder { drafts, mut copies, .. } = folder;
    let sources: Vec<_> = drafts.iter().map(|draft| (draft.name, draft.instance)).collect();
    let mut variables: Vec<Vec<VariableDefinition>> = drafts
        .into_iter()
        .map(|draft| draft.variables.into_iter().map(|variable| variable.definition).collect())
        .collect();
    let mut left = vec![0_usize; sources.len()];
    for copy in &copies {
        left[copy.draft] += 1;
    }
    let mut writer = Writer::default();
    let texts: Vec<_> =
        variables.iter().map(|variables| text::properties(&mut writer, variables)).collect();
    copies.sort_by_cached_key(|copy| {
        let (name, instance) = sources[copy.draft];
        let lower = str::to_ascii_lowercase;
        (copy.evse, copy.connector, lower(name), instance.map(lower))
    });
    copies
        .into_iter()
        .map(|copy| {
            let (name, instance) = sources[copy.draft];
            let key = ComponentKey {
                name: name.into(),
                instance: instance.map(Into::into),
                evse_id: copy.evse,
                connector_id: copy.connector,
            };
            let text = text::component(&mut writer, &key, &texts[copy.draft]);
            left[copy.draft] -= 1;
            let variables = if left[copy.draft] == 0 {
                std::mem::take(&mut variables[copy.draft])
            } else {
                variables[copy.draft].clone()
            };
            ComponentDefinition { key, variables, text }
        })
        .collect()
}
