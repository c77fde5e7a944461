//! Placeholders: `{{repository}}` and the like.

use capstan_plugin::{Error, Job, Result};

/// Replaces every placeholder.
///
/// # Errors
///
/// If one is unknown or has no end.
pub(crate) fn render(text: &str, job: &Job) -> Result<String> {
    let mut rendered = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        rendered.push_str(before);
        let Some((name, after)) = after.split_once("}}") else {
            return Err(Error::new(
                "config",
                "a `{{` has no `}}`; `template = false` writes it as it is",
            ));
        };
        rendered.push_str(&value(name.trim(), job)?);
        rest = after;
    }
    rendered.push_str(rest);
    Ok(rendered)
}

fn value(name: &str, job: &Job) -> Result<String> {
    Ok(match name {
        "repository" => job.repository(),
        "branch" => job.branch(),
        "commit" => job.commit(),
        "path" => job.path(),
        "batch-change" => job.batch_change(),
        unknown => {
            let message = format!(
                "there is no placeholder {{{{{unknown}}}}}: there are repository, branch, commit, path and batch-change; `template = false` writes it as it is"
            );
            return Err(Error::new("config", message));
        }
    })
}

#[cfg(test)]
mod tests {
    use capstan_plugin::test;

    use super::*;

    #[test]
    fn placeholders_are_replaced() {
        let job = test::Job {
            repository: "github.com/acme/{{branch}}".to_owned(),
            branch: "main".to_owned(),
            ..test::Job::default()
        };
        let job = job.into();
        assert_eq!(
            render("a {{repository}} {{ branch }}{{path}} }} {x}", &job).unwrap(),
            "a github.com/acme/{{branch}} main }} {x}"
        );
        for (text, message) in [
            ("{{ nothing }}", "there is no placeholder {{nothing}}"),
            ("{{branch", "a `{{` has no `}}`"),
        ] {
            let error = render(text, &job).unwrap_err();
            assert_eq!(error.code, "config");
            assert!(error.message.contains(message), "{}", error.message);
        }
    }
}
