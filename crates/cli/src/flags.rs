//! Flags that set a setting, made of its declaration.

use clap::error::Error;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use postrider_config::{Declaration, Flags, Role, declarations};

/// Flags of the roles.
#[derive(Debug, Clone, Default)]
pub struct RoleFlags(Flags);

/// Flags of commands that speak to a running postrider.
#[derive(Debug, Clone, Default)]
pub struct Connection(Flags);

impl RoleFlags {
    /// What was given, by setting.
    pub fn flags(&self) -> &Flags {
        &self.0
    }

    fn has(declaration: &Declaration) -> bool {
        declaration.roles != [Role::Command]
    }
}

impl Connection {
    /// What was given, by setting.
    pub fn flags(&self) -> &Flags {
        &self.0
    }

    fn has(declaration: &Declaration) -> bool {
        declaration.roles == [Role::Command]
    }
}

/// Both kinds are arguments in the same way.
macro_rules! arguments {
    ($flags:ident) => {
        impl Args for $flags {
            fn augment_args(command: Command) -> Command {
                command.args(arguments(Self::has))
            }

            fn augment_args_for_update(command: Command) -> Command {
                Self::augment_args(command)
            }
        }

        impl FromArgMatches for $flags {
            fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
                Ok(Self(given(matches, Self::has)))
            }

            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
                *self = Self::from_arg_matches(matches)?;
                Ok(())
            }
        }
    };
}

arguments!(RoleFlags);
arguments!(Connection);

/// Settings of this kind that have a flag.
fn of(has: fn(&Declaration) -> bool) -> impl Iterator<Item = &'static Declaration> {
    let flags = declarations().iter().filter(|declaration| declaration.flag.is_some());
    flags.filter(move |declaration| has(declaration))
}

fn arguments(has: fn(&Declaration) -> bool) -> Vec<Arg> {
    let argument = |declaration: &Declaration| {
        let (sets, value) = (declaration.flag_sets()?, declaration.flag?);
        let long = sets.to_lowercase().replace('_', "-");
        Some(Arg::new(sets).long(long).value_name(value).help(declaration.flag_help()))
    };
    of(has).filter_map(argument).collect()
}

fn given(matches: &ArgMatches, has: fn(&Declaration) -> bool) -> Flags {
    of(has)
        .filter_map(|declaration| {
            let sets = declaration.flag_sets()?;
            let value = matches.get_one::<String>(&sets)?.clone();
            Some((sets, value))
        })
        .collect()
}
