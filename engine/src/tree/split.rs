//! Where a node that grew too large is cut. Pure.

/// How many of consecutive entries with these sizes go to each page of at most `room` bytes, at
/// least `least` to each but the last. `packed` fills page after page and leaves the rest to the
/// last one, as suits appends; else all get about the same.
pub fn cuts(sizes: &[usize], room: usize, packed: bool, least: usize) -> Vec<usize> {
    let total: usize = sizes.iter().sum();
    let pages = total.div_ceil(room.max(1)).max(1);
    // The multiple of total / pages at which the page that starts at `start` ends best.
    let even_end = |start: usize| {
        let done = (start * pages + total / 2).checked_div(total).unwrap_or_default();
        total * (done + 1) / pages
    };
    let mut cuts = Vec::with_capacity(pages + 1);
    let (mut count, mut start, mut end) = (0, 0, 0);
    for size in sizes {
        let full = end + size > start + room || (!packed && end + size > even_end(start));
        if count >= least && full {
            cuts.push(count);
            (count, start) = (0, end);
        }
        count += 1;
        end += size;
    }
    if count > 0 {
        cuts.push(count);
    }
    cuts
}

/// The shortest key that is above `left` and not above `right`.
pub fn separator<'a>(left: &[u8], right: &'a [u8]) -> &'a [u8] {
    let common = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    right.get(..common + 1).unwrap_or(right)
}
