//! Programs of scopes: what they are made of, how they are drawn, how they are printed.

use std::fmt;

use proptest::prelude::*;

/// The number of a body in its program.
pub type Id = u16;

/// One statement. A `body` is a block of code of its own; `scope` is the number of the body of a scope.
#[derive(Debug, Clone)]
pub enum Op {
    Sleep(u16),
    Yield,
    /// A future of another crate: suspends once.
    Foreign,
    Open {
        body: Id,
        deadline: Option<u16>,
        isolate: bool,
    },
    /// Opens a scope, polls it once, and forgets its future if it has not answered.
    Leak {
        body: Id,
        deadline: Option<u16>,
    },
    Spawn {
        body: Id,
        scope: Id,
        fallible: bool,
    },
    /// Has the body run when everything in the scope has ended.
    Defer {
        body: Id,
        scope: Id,
        budget: Option<u16>,
    },
    /// Waits for what this body spawned last.
    Join,
    /// Cancels what this body spawned last, alone.
    CancelTask,
    Cancel {
        scope: Id,
    },
    Kill {
        scope: Id,
    },
    /// Asks whether it is cancelled.
    Ask {
        scope: Id,
    },
    Stop {
        scope: Id,
        grace: u16,
    },
    Move {
        scope: Id,
        deadline: u16,
    },
    /// Waits until the innermost scope is asked to stop, or for a time.
    Stopping(u16),
    Shield {
        body: Id,
        budget: Option<u16>,
    },
    Catch {
        body: Id,
        resume: bool,
    },
    Timeout {
        body: Id,
        after: u16,
    },
    /// A race of another crate, which simply drops the body.
    DropAfter {
        body: Id,
        after: u16,
    },
    /// Two bodies at a time.
    Both {
        left: Id,
        right: Id,
        unordered: bool,
    },
}

/// How a body ends when it comes to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Value,
    Error,
    Panic,
}

#[derive(Clone)]
pub struct Body {
    pub ops: Vec<Op>,
    pub end: End,
    /// The bodies of the scopes around it in the text.
    around: Vec<Id>,
}

/// How many finalizers a program may have.
const DEFERS: usize = 6;

/// A program: the first body is that of its outermost scope.
#[derive(Clone)]
pub struct Program {
    pub bodies: Vec<Body>,
    /// A finalizer opens a scope.
    tidies_in_scopes: bool,
}

/// A statement with the bodies inside it, before they have numbers.
#[derive(Debug, Clone)]
struct Tree {
    op: Op,
    inside: Vec<Block>,
}

type Block = (Vec<Tree>, End);

impl Op {
    fn bodies(&mut self) -> Vec<&mut Id> {
        match self {
            Op::Open { body, .. }
            | Op::Leak { body, .. }
            | Op::Spawn { body, .. }
            | Op::Defer { body, .. }
            | Op::Shield { body, .. }
            | Op::Catch { body, .. }
            | Op::Timeout { body, .. }
            | Op::DropAfter { body, .. } => vec![body],
            Op::Both { left, right, .. } => vec![left, right],
            _ => Vec::new(),
        }
    }

    fn scope(&mut self) -> Option<&mut Id> {
        match self {
            Op::Spawn { scope, .. }
            | Op::Defer { scope, .. }
            | Op::Cancel { scope }
            | Op::Kill { scope }
            | Op::Ask { scope }
            | Op::Stop { scope, .. }
            | Op::Move { scope, .. } => Some(scope),
            _ => None,
        }
    }
}

impl Program {
    /// Numbers the bodies, inside an outermost scope that no statement names: it adopts what is dropped or leaked in a
    /// finalizer. What was drawn for a scope chooses among those around (even) or among all (odd).
    fn number(root: Block) -> Program {
        let mut program = Program { bodies: Vec::new(), tidies_in_scopes: false };
        let mut scopes = Vec::new();
        let open = Op::Open { body: 0, deadline: None, isolate: false };
        program.add((vec![Tree { op: open, inside: vec![root] }], End::Value), Vec::new(), &mut scopes, false);
        program.bound();
        for body in &mut program.bodies {
            for scope in body.ops.iter_mut().filter_map(Op::scope) {
                let drawn = usize::from(*scope / 2);
                let among = if *scope % 2 == 0 { &body.around } else { &scopes };
                *scope = among[among.len() - 1 - drawn % among.len()];
            }
        }
        program
    }

    fn add(&mut self, (trees, end): Block, around: Vec<Id>, scopes: &mut Vec<Id>, in_finalizer: bool) {
        let own = self.bodies.len();
        self.bodies.push(Body { ops: Vec::new(), end, around: around.clone() });
        for Tree { mut op, inside } in trees {
            self.tidies_in_scopes |= in_finalizer && matches!(op, Op::Open { .. } | Op::Leak { .. });
            let in_finalizer = in_finalizer || matches!(op, Op::Defer { .. });
            for (at, block) in inside.into_iter().enumerate() {
                let id = self.bodies.len() as Id;
                let mut around = around.clone();
                if let Op::Open { .. } | Op::Leak { .. } = op {
                    around.push(id);
                    scopes.push(id);
                }
                *op.bodies()[at] = id;
                self.add(block, around, scopes, in_finalizer);
            }
            self.bodies[own].ops.push(op);
        }
    }

    /// Turns what comes too often into what costs the search less.
    fn bound(&mut self) {
        let most = std::env::var("RAMUS_LEAKS").map_or(1, |number| number.parse().expect("RAMUS_LEAKS"));
        // What a scope leaves behind that was open in a finalizer whose own scope is leaked is not among the rules.
        let most = if self.tidies_in_scopes { 0 } else { most };
        let (mut leaks, mut defers) = (0, 0);
        for op in self.bodies.iter_mut().flat_map(|body| &mut body.ops) {
            match *op {
                Op::Leak { body, deadline } => {
                    leaks += 1;
                    if leaks > most {
                        *op = Op::Open { body, deadline, isolate: false };
                    }
                }
                Op::Defer { body, scope, .. } => {
                    defers += 1;
                    if defers > DEFERS {
                        *op = Op::Spawn { body, scope, fallible: true };
                    }
                }
                _ => {}
            }
        }
    }

    /// May it leave a scope that ends only when it is cancelled?
    pub fn leaks(&self) -> bool {
        self.bodies.iter().flat_map(|body| &body.ops).any(|op| matches!(op, Op::Leak { .. }))
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, body: Id, depth: usize) -> fmt::Result {
        let Body { ops, end, .. } = &self.bodies[usize::from(body)];
        for op in ops {
            writeln!(f, "{:indent$}{op:?}", "", indent = 4 * depth)?;
            for inside in op.clone().bodies() {
                writeln!(f, "{:indent$}body {inside}:", "", indent = 4 * depth + 2)?;
                self.write(f, *inside, depth + 1)?;
            }
        }
        if *end == End::Value { Ok(()) } else { writeln!(f, "{:indent$}{end:?}", "", indent = 4 * depth) }
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n  body 0, a scope:")?;
        self.write(f, 0, 1)
    }
}

fn block(op: impl Strategy<Value = Tree> + Clone) -> impl Strategy<Value = Block> + Clone {
    let end = prop_oneof![12 => Just(End::Value), 2 => Just(End::Error), 1 => Just(End::Panic)];
    (prop::collection::vec(op, 1..5), end)
}

fn leaf(longest: u16) -> impl Strategy<Value = Op> + Clone {
    let (time, scope) = (0..longest, scope());
    prop_oneof![
        6 => time.clone().prop_map(Op::Sleep),
        1 => Just(Op::Yield),
        1 => Just(Op::Foreign),
        1 => Just(Op::Join),
        1 => Just(Op::CancelTask),
        2 => scope.clone().prop_map(|scope| Op::Cancel { scope }),
        1 => scope.clone().prop_map(|scope| Op::Kill { scope }),
        1 => scope.clone().prop_map(|scope| Op::Ask { scope }),
        1 => (scope.clone(), time.clone()).prop_map(|(scope, grace)| Op::Stop { scope, grace }),
        1 => (scope, time.clone()).prop_map(|(scope, deadline)| Op::Move { scope, deadline }),
        1 => time.prop_map(Op::Stopping),
    ]
}

/// The innermost scope around is drawn most.
fn scope() -> impl Strategy<Value = Id> + Clone {
    prop_oneof![Just(0), 0..16_u16]
}

fn nest(longest: u16) -> impl Strategy<Value = Op> + Clone {
    let time = 0..longest;
    let maybe = || prop::option::weighted(0.3, time.clone());
    prop_oneof![
        4 => (maybe(), prop::bool::weighted(0.2))
            .prop_map(|(deadline, isolate)| Op::Open { body: 0, deadline, isolate }),
        1 => maybe().prop_map(|deadline| Op::Leak { body: 0, deadline }),
        5 => (scope(), any::<bool>()).prop_map(|(scope, fallible)| Op::Spawn { body: 0, scope, fallible }),
        2 => (scope(), maybe()).prop_map(|(scope, budget)| Op::Defer { body: 0, scope, budget }),
        2 => prop::option::of(time.clone()).prop_map(|budget| Op::Shield { body: 0, budget }),
        2 => any::<bool>().prop_map(|resume| Op::Catch { body: 0, resume }),
        1 => time.clone().prop_map(|after| Op::Timeout { body: 0, after }),
        2 => time.prop_map(|after| Op::DropAfter { body: 0, after }),
    ]
}

/// A cancel reaches a shield, whose budget ends while code in it can go on to another shield.
fn spent(longest: u16, inside: impl Strategy<Value = Block> + Clone) -> impl Strategy<Value = Tree> + Clone {
    let budget = 0..longest;
    (budget.clone(), budget, inside.clone(), inside).prop_map(|(outer, inner, caught, shielded)| {
        let shield = |budget, inside| Tree { op: Op::Shield { body: 0, budget: Some(budget) }, inside: vec![inside] };
        let caught = Tree { op: Op::Catch { body: 0, resume: false }, inside: vec![caught] };
        let cancel = Tree { op: Op::Cancel { scope: 0 }, inside: Vec::new() };
        let block = vec![cancel, caught, shield(inner, shielded)];
        shield(outer, (block, End::Value))
    })
}

/// Programs of so many levels of bodies, whose times are below `longest`.
pub fn programs(longest: u16, levels: u32) -> impl Strategy<Value = Program> {
    let leaf = leaf(longest).prop_map(|op| Tree { op, inside: Vec::new() });
    let tree = (1..levels).fold(leaf.clone().boxed(), |op, _| {
        let both = any::<bool>().prop_map(|unordered| Op::Both { left: 0, right: 0, unordered });
        let nested = (nest(longest), block(op.clone())).prop_map(|(op, inside)| Tree { op, inside: vec![inside] });
        let spent = spent(longest, block(op.clone()));
        let both =
            (both, block(op.clone()), block(op)).prop_map(|(op, left, right)| Tree { op, inside: vec![left, right] });
        prop_oneof![22 => leaf.clone(), 20 => nested, 2 => both, 1 => spent].boxed()
    });
    block(tree).prop_map(Program::number)
}
