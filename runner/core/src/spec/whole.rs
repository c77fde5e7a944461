//! A spec with all that can be checked without a run: its templates, its globs, its steps in WebAssembly.

use super::{FieldError, ParseOptions, Parsed, TemplateField, parse};
use crate::glob::Glob;
use crate::source::{Diagnostic, Diagnostics};
use crate::template::{Template, TemplateError};
use crate::wasm_step::{Invocation, Reference, is_component};

/// Reads a spec and checks its templates and globs, too. With `plugins`, steps may refer to outputs that no step sets: plugins set
/// them.
///
/// # Errors
/// Everything that is wrong with it, in document order.
pub fn parse_whole(text: &[u8], plugins: bool) -> Result<Parsed, Diagnostics> {
    let options = ParseOptions {
        check_template: Some(&|field| check_template(field, plugins)),
        check_glob: Some(&|glob| {
            Glob::new(glob)
                .map(|_| ())
                .map_err(|error| error.to_string())
        }),
    };
    parse(text, &options)
}

/// What is wrong with steps in WebAssembly whose texts are final as they are written.
pub fn component_problems(parsed: &Parsed) -> Diagnostics {
    let Parsed { spec, spans } = parsed;
    let is_final = |text: &str| !text.contains("${{");
    let mut problems = Diagnostics::default();
    for (index, step) in spec.steps.iter().enumerate() {
        let mut problem = |field: &str, message: String, hint: &str| {
            let path = format!("steps.{index}.{field}");
            let place = spans.nearest(&path);
            problems.push(Diagnostic::error(path, message, place).with_hint(hint));
        };
        if !is_component(&step.container) {
            continue;
        }
        if is_final(&step.container)
            && let Some(Err(error)) = Reference::parse(&step.container)
        {
            let hint = "a component is ./a/file, https://an/address, or a/reference in a registry";
            problem("container", error.to_string(), hint);
        }
        if is_final(&step.run)
            && let Err(error) = Invocation::parse(&step.run)
        {
            let hint = "for a shell script, use an image with a shell";
            problem("run", error.to_string(), hint);
        }
    }
    problems
}

fn check_template(field: &TemplateField<'_>, plugins: bool) -> Result<(), FieldError> {
    let template = Template::parse(&field.name, field.text, field.scope)
        .map_err(|error| template_problem(field, &error, None))?;
    let checked = template.check_keys(field.outputs.as_ref().filter(|_| !plugins));
    checked.map_err(|unknown| {
        let instead = if unknown.known.is_empty() {
            "no step before this one sets an output".to_owned()
        } else {
            format!("there is {}", unknown.known.join(", "))
        };
        template_problem(field, &unknown.error, Some(instead))
    })
}

/// The problem that an error in a template is, with what it says to write instead, else with `hint`.
fn template_problem(
    field: &TemplateField<'_>,
    error: &TemplateError,
    hint: Option<String>,
) -> FieldError {
    let meant = error
        .did_you_mean()
        .map(|name| format!("did you mean `{name}`?"));
    FieldError {
        hint: meant.or(hint),
        offset: offset(field.text, error.line(), error.column()),
        message: error.to_string(),
    }
}

/// The byte that a line (from 1) and a byte in it (from 0) stand for.
fn offset(text: &str, line: usize, column: usize) -> Option<usize> {
    let start: usize = text
        .split_inclusive('\n')
        .take(line.checked_sub(1)?)
        .map(str::len)
        .sum();
    Some(start + column).filter(|offset| text.is_char_boundary(*offset))
}
