//! In which order the sides of a comparison have their turns: A B B A, and so on.
//!
//! A machine that gets warmer, or a neighbour that comes and goes, must not meet one side only.
//! With every second pass reversed, a drift in one direction adds as much to each side.

/// The sides in the order of their turns, each as often as there are rounds.
#[must_use]
pub fn interleaved(sides: usize, rounds: usize) -> Vec<usize> {
    let pass = |round: usize| {
        let forward = (0..sides).map(move |side| (side, sides - 1 - side));
        forward.map(move |(there, back)| if round.is_multiple_of(2) { there } else { back })
    };
    (0..rounds).flat_map(pass).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sides_take_turns_as_a_b_b_a() {
        assert_eq!(interleaved(2, 4), [0, 1, 1, 0, 0, 1, 1, 0]);
        assert_eq!(interleaved(3, 2), [0, 1, 2, 2, 1, 0]);
        assert_eq!(interleaved(2, 0), [0; 0]);
    }

    #[test]
    fn a_drift_in_one_direction_adds_as_much_to_each_side() {
        for (sides, rounds) in [(2, 2), (2, 6), (5, 4), (6, 8)] {
            let order = interleaved(sides, rounds);
            let moments = |side| (0..).zip(&order).filter(move |(_, at)| **at == side);
            let sum = |side| moments(side).map(|(moment, _)| moment).sum::<usize>();
            assert!((0..sides).all(|side| sum(side) == sum(0)), "{sides} sides, {rounds} rounds");
            assert!((0..sides).all(|side| moments(side).count() == rounds));
        }
    }
}
