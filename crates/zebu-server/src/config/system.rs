//! What Java takes as system properties: `-D` arguments and the variables with options for a JVM.

use super::notice::{Notice, NoticeKind, Place};

/// The variables that Java's start script hands to the JVM, in its order: what comes later counts.
const VARIABLES: [&str; 2] = ["SERVER_JVMFLAGS", "JVMFLAGS"];

/// Options of `java` that take the next word with them.
const OPTIONS_WITH_ARGUMENT: [&str; 10] = [
    "-cp",
    "-classpath",
    "--class-path",
    "-p",
    "--module-path",
    "--add-modules",
    "--add-opens",
    "--add-exports",
    "--add-reads",
    "-jar",
];

/// The system properties a server is started with, weakest first.
///
/// ```
/// use zebu_server::config::SystemProperties;
///
/// let mut properties = SystemProperties::default();
/// properties.add_argument("zookeeper.snapCount=5000");
/// properties.add_argument("jute.maxbuffer=0x400000");
/// ```
#[derive(Debug, Clone, Default)]
pub struct SystemProperties {
    from_variables: Vec<Property>,
    from_arguments: Vec<Property>,
    notices: Vec<Notice>,
}

/// One `name=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Property {
    pub(super) place: Place,
    pub(super) name: String,
    pub(super) value: String,
}

impl SystemProperties {
    /// Those in `SERVER_JVMFLAGS` and `JVMFLAGS` of this process.
    #[must_use]
    pub fn from_process_environment() -> Self {
        Self::from_environment(|name| std::env::var(name).ok())
    }

    /// Those in `SERVER_JVMFLAGS` and `JVMFLAGS` as `variable` gives them. Words are separated by blanks; quotes and
    /// backslashes protect as in a shell (Java's script knows no quotes, so no text that works there means another thing
    /// here). Options other than `-D` are for a JVM; they are named in a notice of [`Config::load`](super::Config::load).
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let mut properties = Self::default();
        for name in VARIABLES {
            if let Some(text) = variable(name) {
                properties.add_variable(name, &text);
            }
        }
        properties
    }

    /// Adds what stands after `-D` on the command line: `name=value`, or `name` for an empty value. The name may be that
    /// of a system property or a key of `zoo.cfg`. Of several with one name the last counts.
    pub fn add_argument(&mut self, name_and_value: &str) {
        self.from_arguments.push(property(Place::Argument, name_and_value));
    }

    /// All properties, weakest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Property> {
        self.from_variables.iter().chain(&self.from_arguments)
    }

    /// What there is to say about the options that are no properties.
    pub(super) fn notices(&self) -> &[Notice] {
        &self.notices
    }

    fn add_variable(&mut self, name: &'static str, text: &str) {
        let place = Place::Variable(name);
        let (words, whole) = split_words(text);
        let mut options = Vec::new();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            match word.strip_prefix("-D") {
                Some(name_and_value) if !name_and_value.is_empty() => {
                    self.from_variables.push(property(place.clone(), name_and_value));
                }
                Some(_) | None => {
                    let argument = OPTIONS_WITH_ARGUMENT.contains(&word.as_str()).then(|| words.next());
                    options.push(word);
                    options.extend(argument.flatten());
                }
            }
        }
        if !whole {
            self.notices.push(Notice::new(&place, NoticeKind::OpenQuote));
        }
        if !options.is_empty() {
            self.notices
                .push(Notice::new(&place, NoticeKind::JvmOptions { options }));
        }
    }
}

fn property(place: Place, name_and_value: &str) -> Property {
    let (name, value) = name_and_value.split_once('=').unwrap_or((name_and_value, ""));
    Property {
        place,
        name: name.trim().to_owned(),
        value: value.trim().to_owned(),
    }
}

/// Words as a shell splits them, and whether all quotes were closed.
fn split_words(text: &str) -> (Vec<String>, bool) {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (_, Some(open)) if c == open => quote = None,
            ('\\', None) => {
                let next = chars.next().unwrap_or('\\');
                word.get_or_insert_default().push(next);
            }
            ('\\', Some('"')) => {
                let next = chars.next_if(|next| "\"\\$`".contains(*next)).unwrap_or('\\');
                word.get_or_insert_default().push(next);
            }
            (_, None) if c.is_whitespace() => words.extend(word.take()),
            (_, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    (words, quote.is_none())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(split_words(text).0, expected, "{text}");
    }

    #[test]
    fn words_are_split_as_in_a_shell() {
        check("", &[]);
        check("  -Xmx1g\t-Da=b \n", &["-Xmx1g", "-Da=b"]);
        check("-Da='b c' -Dd=\"e f\"", &["-Da=b c", "-Dd=e f"]);
        check("-Da=b\\ c -Da='b\\c'", &["-Da=b c", "-Da=b\\c"]);
        check("\"a\\\"b\\\\c\\d\"", &["a\"b\\c\\d"]);
        check("-Da='' ''", &["-Da=", ""]);
        check("a\"b\"'c'd", &["abcd"]);
        assert_eq!(split_words("-Da='b c"), (vec!["-Da=b c".to_owned()], false));
    }

    #[test]
    fn variables_give_properties_and_name_other_options() {
        let properties = SystemProperties::from_environment(|name| match name {
            "SERVER_JVMFLAGS" => Some("-Xmx1000m -Dzookeeper.snapCount=7 -cp a:b -Dempty -D".to_owned()),
            "JVMFLAGS" => Some("-Dzookeeper.snapCount=8".to_owned()),
            _ => None,
        });
        let named: Vec<_> = properties
            .iter()
            .map(|p| (p.place.to_string(), p.name.as_str(), p.value.as_str()))
            .collect();
        assert_eq!(
            named,
            [
                ("SERVER_JVMFLAGS".to_owned(), "zookeeper.snapCount", "7"),
                ("SERVER_JVMFLAGS".to_owned(), "empty", ""),
                ("JVMFLAGS".to_owned(), "zookeeper.snapCount", "8"),
            ]
        );
        let notices: Vec<_> = properties.notices().iter().map(ToString::to_string).collect();
        assert_eq!(
            notices,
            ["SERVER_JVMFLAGS: there is no JVM here, without meaning: -Xmx1000m -cp a:b -D"]
        );
    }

    #[test]
    fn an_open_quote_is_named() {
        let properties = SystemProperties::from_environment(|name| (name == "JVMFLAGS").then(|| "-Da='b".to_owned()));
        let notices: Vec<_> = properties.notices().iter().map(ToString::to_string).collect();
        assert_eq!(
            notices,
            ["JVMFLAGS: a quote is not closed; it was taken to end with the text"]
        );
    }

    proptest! {
        #[test]
        fn no_variable_panics(text in any::<String>()) {
            let _ = SystemProperties::from_environment(|_| Some(text.clone()));
        }

        #[test]
        fn quoted_words_come_back(words in prop::collection::vec("[^']{0,8}", 0..5)) {
            let text: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
            prop_assert_eq!(split_words(&text.join(" ")), (words, true));
        }
    }
}
