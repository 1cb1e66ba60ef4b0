//! What can be seen of a text: nothing at all, or one emoji.

/// Returns whether a character only says how its neighbours are shown.
pub(super) const fn is_format(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Returns whether there is nothing in the text that can be seen. An empty text is blank.
pub(super) fn is_blank(text: &str) -> bool {
    text.chars().all(|c| {
        // Letters and patterns that are empty by design.
        let empty = matches!(
            c,
            '\u{115f}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}'
        );
        empty || c.is_whitespace() || c.is_control() || is_format(c)
    })
}

/// Returns whether the text is exactly one emoji, as it is shown: with its skin tone, as a flag, or several
/// joined into one.
pub(super) fn is_one_emoji(text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    match chars.as_slice() {
        [one, other] if is_regional(*one) => is_regional(*other),
        ['0'..='9' | '#' | '*', VARIATION, KEYCAP] | ['0'..='9' | '#' | '*', KEYCAP] => true,
        all => !all.is_empty() && all.split(|c| *c == JOINER).all(is_element),
    }
}

const JOINER: char = '\u{200d}';
const VARIATION: char = '\u{fe0f}';
const KEYCAP: char = '\u{20e3}';

/// Returns whether the characters are one picture with what modifies it.
fn is_element(chars: &[char]) -> bool {
    let [base, rest @ ..] = chars else {
        return false;
    };
    is_pictograph(*base)
        && match rest {
            [] | [VARIATION | '\u{1f3fb}'..='\u{1f3ff}'] => true,
            // The flags of England, Scotland and Wales.
            [tags @ .., '\u{e007f}'] => {
                !tags.is_empty() && tags.iter().all(|c| matches!(c, '\u{e0020}'..='\u{e007e}'))
            }
            _ => false,
        }
}

const fn is_regional(c: char) -> bool {
    matches!(c, '\u{1f1e6}'..='\u{1f1ff}')
}

/// Returns whether Unicode counts the character among the pictures (`Extended_Pictographic`, and the skin tones).
const fn is_pictograph(c: char) -> bool {
    matches!(
        c,
        '\u{a9}'
            | '\u{ae}'
            | '\u{203c}'
            | '\u{2049}'
            | '\u{2122}'
            | '\u{2139}'
            | '\u{2194}'..='\u{2199}'
            | '\u{21a9}'..='\u{21aa}'
            | '\u{231a}'..='\u{231b}'
            | '\u{2328}'
            | '\u{23cf}'
            | '\u{23e9}'..='\u{23fa}'
            | '\u{24c2}'
            | '\u{25aa}'..='\u{25ab}'
            | '\u{25b6}'
            | '\u{25c0}'
            | '\u{25fb}'..='\u{25fe}'
            | '\u{2600}'..='\u{2767}'
            | '\u{2795}'..='\u{2797}'
            | '\u{27a1}'
            | '\u{27b0}'
            | '\u{27bf}'
            | '\u{2934}'..='\u{2935}'
            | '\u{2b05}'..='\u{2b07}'
            | '\u{2b1b}'..='\u{2b1c}'
            | '\u{2b50}'
            | '\u{2b55}'
            | '\u{3030}'
            | '\u{303d}'
            | '\u{3297}'
            | '\u{3299}'
            | '\u{1f000}'..='\u{1f1e5}'
            | '\u{1f200}'..='\u{1faff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_emoji_is_what_is_shown_as_one() {
        for emoji in [
            "👍",
            "👍🏽",
            "❤",
            "❤️",
            "🇩🇪",
            "1️⃣",
            "#⃣",
            "👨‍👩‍👧‍👦",
            "🏳️‍🌈",
            "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
            "🧑🏿‍🚀",
            "❤️‍🔥",
            "☺",
            "✅",
            "🫠",
            "⏰",
        ] {
            assert!(is_one_emoji(emoji), "{emoji}");
        }
    }

    #[test]
    fn everything_else_is_none() {
        for text in [
            "",
            " ",
            "ok",
            "x",
            ":thumbsup:",
            "👍👍",
            "👍 ",
            "1",
            "🇩",
            "🇩🇪🇫🇷",
            "\u{200d}",
            "👍\u{200d}",
            "\u{fe0f}",
            "👍x",
            "👍\u{200b}",
            ":)",
            "+1",
            "\u{e007f}",
            "👍🏽🏽",
        ] {
            assert!(!is_one_emoji(text), "{text:?}");
        }
    }

    #[test]
    fn a_text_is_blank_if_nothing_of_it_is_seen() {
        for text in [
            "",
            "   ",
            "\n\t",
            "\u{200b}\u{2060}",
            "\u{3164}",
            "\u{2800}\u{a0}",
            "\u{feff}",
            "\u{fe0f}",
            "\u{ad}",
        ] {
            assert!(is_blank(text), "{text:?}");
        }
        for text in [".", " a ", "👍", "\u{200f}א", "ü"] {
            assert!(!is_blank(text), "{text:?}");
        }
    }
}
