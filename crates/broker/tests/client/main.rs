//! The client against a scripted broker on a real socket, with recorded answers where there are.

mod kit;
mod reading;
mod trouble;
