//! Lines to a file and those that continue it.

/// Lines, of which as many are in a file as it has room for; each file begins with the same header.
pub(super) struct Parts {
    header: Vec<u8>,
    most: usize,
    done: Vec<Vec<u8>>,
    open: Vec<u8>,
}

impl Parts {
    pub(super) fn new(header: Vec<u8>, most: usize) -> Self {
        Self { open: header.clone(), header, most, done: Vec::new() }
    }

    /// Adds a line: what `write` puts at the end.
    pub(super) fn line<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        let before = self.open.len();
        write(&mut self.open)?;
        if self.open.len() > self.most && before > self.header.len() {
            let mut next = self.header.clone();
            next.extend(self.open.drain(before..));
            self.done.push(std::mem::replace(&mut self.open, next));
        }
        Ok(())
    }

    /// The files; none without a line.
    pub(super) fn finish(mut self) -> Vec<Vec<u8>> {
        if self.open.len() > self.header.len() {
            self.done.push(self.open);
        }
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(most: usize, lines: &[&str]) -> Vec<String> {
        let mut parts = Parts::new(b"h\n".to_vec(), most);
        for line in lines {
            parts
                .line(|out| {
                    out.extend_from_slice(line.as_bytes());
                    Ok::<_, ()>(())
                })
                .unwrap();
        }
        parts.finish().into_iter().map(|part| String::from_utf8(part).unwrap()).collect()
    }

    #[test]
    fn a_file_ends_with_the_last_line_that_it_has_room_for() {
        assert_eq!(parts(6, &["a\n", "b\n", "c\n"]), ["h\na\nb\n", "h\nc\n"]);
        assert_eq!(parts(5, &["a\n", "b\n", "c\n"]), ["h\na\n", "h\nb\n", "h\nc\n"]);
    }

    #[test]
    fn a_line_for_which_no_file_has_room_is_alone_in_one() {
        assert_eq!(parts(4, &["long\n", "b\n", "long\n"]), ["h\nlong\n", "h\nb\n", "h\nlong\n"]);
    }

    #[test]
    fn without_lines_there_is_no_file() {
        assert!(parts(6, &[]).is_empty());
    }
}
