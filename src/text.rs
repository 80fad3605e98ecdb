//! Text from outside, made fit to be told: it goes into statuses, events and logs. Pure.

/// A text on one line: control characters, colours and invisible marks taken out, blanks joined, cut at a character to
/// at most so many bytes.
#[must_use]
pub fn clean(text: &str, most: usize) -> String {
    let mut words = String::new();
    for word in without_escapes(text).split_whitespace() {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
    }
    if words.len() <= most {
        return words;
    }
    let mark = &"..."[..most.min(3)];
    words.truncate(words.floor_char_boundary(most - mark.len()));
    words + mark
}

/// Terminal sequences (`ESC [ ... letter`) and marks that change how text is shown are dropped, control characters
/// become blanks.
fn without_escapes(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' && chars.next_if_eq(&'[').is_some() {
            while chars.next_if(|c| matches!(c, ' '..='?')).is_some() {}
            chars.next();
        } else if c.is_control() {
            plain.push(' ');
        } else if !is_invisible(c) {
            plain.push(c);
        }
    }
    plain
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cleaning_keeps_words_and_drops_the_rest() {
        for (text, cleaned) in [
            ("  a \n\n b\r\tc ", "a b c"),
            ("\u{1b}[1;31mbold\u{1b}[m", "bold"),
            ("a\0b\u{85}c", "a b c"),
            ("\u{feff}Łódź", "Łódź"),
            ("\u{1b}[", ""),
            ("abcdefghijk", "abcdefg..."),
        ] {
            assert_eq!(clean(text, 10), cleaned, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn cleaned_text_is_cut_and_stays_as_it_is(text in "[\\PC\\n\\x00\\x1b]{0,80}", most in 0_usize..60) {
            let once = clean(&text, most);
            prop_assert!(once.len() <= most && !once.contains(char::is_control));
            prop_assert_eq!(clean(&once, most), once);
        }
    }
}
