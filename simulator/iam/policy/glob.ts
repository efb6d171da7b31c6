/** The wildcards of IAM policies: `*` is any run of characters, `?` is one. Linear-time, and never a regular expression. */

/** A test whether a text matches `pattern` as a whole. */
export function compileGlob(pattern: string): (text: string) => boolean {
  if (pattern === "*") return () => true;
  if (!/[*?]/.test(pattern)) return (text) => text === pattern;
  return (text) => matchesGlob(pattern, text);
}

/** Greedy matching that remembers only the last star: at most |pattern| × |text| steps. */
function matchesGlob(pattern: string, text: string): boolean {
  let [at, from, star, starText] = [0, 0, -1, 0];
  while (from < text.length) {
    if (pattern[at] === "*") {
      star = at++;
      starText = from;
    } else if (at < pattern.length && (pattern[at] === "?" || pattern[at] === text[from])) {
      at++;
      from++;
    } else if (star >= 0) {
      at = star + 1;
      from = ++starText;
    } else {
      return false;
    }
  }
  while (pattern[at] === "*") at++;
  return at === pattern.length;
}
