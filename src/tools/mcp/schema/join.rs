//! Schemas joined: either will do (`anyOf`, `oneOf`, several types), or both must hold (`allOf`, `$ref` with more).

use super::{Forms, ListForm, Node, NumberForm, ObjectForm, Shape, TextForm};

impl Node {
    /// What either allows.
    pub(super) fn or(self, other: Node) -> Node {
        let description = if self.description.is_empty() { other.description } else { self.description };
        // A note that holds for one of two would mislead.
        let notes = match (&self.shape, &other.shape) {
            (Shape::Never, _) => other.notes,
            (_, Shape::Never) => self.notes,
            _ => self.notes.into_iter().filter(|note| other.notes.contains(note)).collect(),
        };
        let shape = match (self.shape, other.shape) {
            (Shape::Never, shape) | (shape, Shape::Never) => shape,
            (Shape::Any, _) | (_, Shape::Any) => Shape::Any,
            (Shape::Opaque, _) | (_, Shape::Opaque) => Shape::Opaque,
            (Shape::Forms(a), Shape::Forms(b)) => Shape::Forms(a.or(b)),
        };
        Node { description, notes, is_nullable: self.is_nullable || other.is_nullable, shape }
    }

    /// What both allow. Where that is nothing, the schema is at odds with itself, and the first is taken.
    pub(super) fn and(self, other: Node) -> Node {
        let description = if self.description.is_empty() { other.description } else { self.description };
        let is_nullable = match (&self.shape, &other.shape) {
            (Shape::Any, _) => other.is_nullable,
            (_, Shape::Any) => self.is_nullable,
            _ => self.is_nullable && other.is_nullable,
        };
        let mut notes = self.notes;
        notes.extend(other.notes);
        notes.truncate(super::read::NOTES_MAX);
        let shape = match (self.shape, other.shape) {
            (Shape::Any, shape) | (shape, Shape::Any) => shape,
            (Shape::Never, _) | (_, Shape::Never) => Shape::Never,
            (Shape::Opaque, _) | (_, Shape::Opaque) => Shape::Opaque,
            (Shape::Forms(a), Shape::Forms(b)) => Shape::Forms(a.and(b)),
        };
        Node { description, notes, is_nullable, shape }
    }
}

fn either<T>(a: Option<T>, b: Option<T>, join: impl FnOnce(T, T) -> T) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(join(a, b)),
        (a, b) => a.or(b),
    }
}

fn both<T>(a: Option<T>, b: Option<T>, join: impl FnOnce(T, T) -> T) -> Option<T> {
    Some(join(a?, b?))
}

impl Forms {
    fn or(self, other: Forms) -> Forms {
        Forms {
            text: either(self.text, other.text, TextForm::or),
            number: either(self.number, other.number, NumberForm::or),
            truth: self.truth.or(other.truth),
            list: either(self.list, other.list, ListForm::or),
            object: either(self.object, other.object, ObjectForm::or),
        }
    }

    fn and(self, other: Forms) -> Forms {
        let first = self.clone();
        let forms = Forms {
            text: both(self.text, other.text, TextForm::and),
            number: both(self.number, other.number, NumberForm::and),
            truth: self.truth.and(other.truth),
            list: both(self.list, other.list, ListForm::and),
            object: both(self.object, other.object, ObjectForm::and),
        };
        if forms.is_empty() { first } else { forms }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_none()
            && self.number.is_none()
            && self.truth.is_none()
            && self.list.is_none()
            && self.object.is_none()
    }
}

impl TextForm {
    fn or(self, other: TextForm) -> TextForm {
        let words = both(self.words, other.words, |mut words, more| {
            words.extend(more);
            words
        });
        TextForm { words, is_date_time: self.is_date_time && other.is_date_time }
    }

    fn and(self, other: TextForm) -> TextForm {
        let words = either(self.words, other.words, |words, others| {
            let common: Vec<String> = words.iter().filter(|word| others.contains(word)).cloned().collect();
            if common.is_empty() { words } else { common }
        });
        TextForm { words, is_date_time: self.is_date_time || other.is_date_time }
    }
}

impl NumberForm {
    fn or(self, other: NumberForm) -> NumberForm {
        NumberForm {
            is_whole: self.is_whole && other.is_whole,
            min: both(self.min, other.min, f64::min),
            max: both(self.max, other.max, f64::max),
            format: self.format.filter(|format| other.format == Some(format)),
        }
    }

    fn and(self, other: NumberForm) -> NumberForm {
        NumberForm {
            is_whole: self.is_whole || other.is_whole,
            min: either(self.min, other.min, f64::max),
            max: either(self.max, other.max, f64::min),
            format: self.format.or(other.format),
        }
    }
}

impl ListForm {
    fn or(self, other: ListForm) -> ListForm {
        ListForm {
            items: Box::new(self.items.or(*other.items)),
            min: both(self.min, other.min, u64::min),
            max: both(self.max, other.max, u64::max),
        }
    }

    fn and(self, other: ListForm) -> ListForm {
        ListForm {
            items: Box::new(self.items.and(*other.items)),
            min: either(self.min, other.min, u64::max),
            max: either(self.max, other.max, u64::min),
        }
    }
}

impl ObjectForm {
    fn or(self, other: ObjectForm) -> ObjectForm {
        let required = self.required.iter().filter(|name| other.required.contains(name)).cloned().collect();
        ObjectForm { members: merge(self.members, other.members, Node::or), required }
    }

    fn and(self, other: ObjectForm) -> ObjectForm {
        let mut required = self.required;
        required.extend(other.required.into_iter().filter(|name| !required.contains(name)).collect::<Vec<_>>());
        ObjectForm { members: merge(self.members, other.members, Node::and), required }
    }
}

/// The members of both; one that both have is joined.
fn merge(mut a: Vec<(String, Node)>, b: Vec<(String, Node)>, join: fn(Node, Node) -> Node) -> Vec<(String, Node)> {
    for (name, node) in b {
        match a.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = join(std::mem::take(known), node),
            None => a.push((name, node)),
        }
    }
    a
}
