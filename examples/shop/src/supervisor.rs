//! The shop as processes: started in order, started again when they end, stopped callers first.

/// What the shop consists of.
#[derive(Clone, Debug)]
pub struct Plan {}

/// A running shop.
#[derive(Debug)]
pub struct Shop {}
