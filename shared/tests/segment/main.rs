//! The segment format, from outside: what comes back, what damage does, what an unknown thing does, time order, resuming.

mod damage;
mod directory;
mod evolution;
mod golden;
mod hostile;
mod model;
mod moved;
mod ndjson;
mod order;
mod power;
mod power_loss;
mod properties;
mod resume;
mod round_trip;
mod words;
