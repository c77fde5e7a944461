use std::fs;

use crate::capstan::plugin::files::set_executable;
use crate::capstan::plugin::job::Job;
use crate::capstan::plugin::types::Error;
use crate::exports::capstan::plugin::workspace::Guest;
use crate::{Plugin, error, setting, task};

impl Guest for Plugin {
    fn prepare(job: &Job) -> Result<(), Error> {
        let io = |problem: std::io::Error| error("io", &problem.to_string());
        match task()?.as_str() {
            "write" => {
                fs::create_dir_all("/work/made/here").map_err(io)?;
                fs::write("/work/made/here/file", job.repository()).map_err(io)?;
            }
            "list" => {
                let mut names = Vec::new();
                for entry in fs::read_dir("/work").map_err(io)? {
                    names.push(entry.map_err(io)?.file_name().into_string().unwrap());
                }
                names.sort();
                return Err(error("seen", &names.join(" ")));
            }
            "executable" => {
                for path in setting("paths").split(' ') {
                    set_executable(path, setting("executable") != "false")?;
                }
            }
            "fill" => {
                let chunk = vec![0; 1024 * 1024];
                for number in 0.. {
                    fs::write(format!("/work/{number}"), &chunk).map_err(io)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}
