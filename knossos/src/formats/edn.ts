import { MalformedHistory } from "../fold.ts";

/**
 * A value of extensible data notation, as far as histories need it: keywords and symbols become their names, lists, vectors and sets
 * arrays, maps objects (keys as text), tagged values their values.
 */
export type Edn = null | boolean | number | string | readonly Edn[] | { readonly [key: string]: Edn };

export interface EdnForm {
  readonly value: Edn;
  /** 1-based. */
  readonly line: number;
}

/** All forms of a text, one after the other. If the whole is one vector or list, its elements. Throws MalformedHistory. */
export function* readEdn(text: string): Generator<EdnForm> {
  const reader = new EdnReader(text);
  reader.skip();
  const whole = reader.peek();
  if (whole === "[" || whole === "(") {
    yield* reader.elements(whole === "[" ? "]" : ")");
    reader.skip();
    if (!reader.atEnd())
      throw reader.error("text after the end of the history; a history is one vector, one list, or one map a line");
    return;
  }
  while (!reader.atEnd()) {
    const line = reader.line;
    yield { value: reader.value(), line };
    reader.skip();
  }
}

const NAMED_CHARACTERS: Readonly<Record<string, string>> = { newline: "\n", space: " ", tab: "\t", return: "\r" };
const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", b: "\b", f: "\f" };
const DELIMITERS = new Set([" ", "\n", "\t", "\r", ",", "(", ")", "[", "]", "{", "}", '"', ";"]);

class EdnReader {
  readonly #text: string;
  #at = 0;
  #line = 1;

  constructor(text: string) {
    this.#text = text;
  }

  get line(): number {
    return this.#line;
  }

  atEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  peek(): string {
    return this.#text[this.#at] ?? "";
  }

  error(message: string): MalformedHistory {
    return new MalformedHistory(message, this.#line);
  }

  /** Whitespace (commas too), comments, discarded forms. */
  skip(): void {
    while (!this.atEnd()) {
      const character = this.peek();
      if (character === "\n") this.#line++;
      if (character === ";") {
        while (!this.atEnd() && this.peek() !== "\n") this.#at++;
      } else if (character === "#" && this.#text[this.#at + 1] === "_") {
        this.#at += 2;
        this.value();
      } else if (
        character === " " ||
        character === "\n" ||
        character === "\t" ||
        character === "\r" ||
        character === ","
      ) {
        this.#at++;
      } else {
        return;
      }
    }
  }

  /** The elements of the collection that opens here. */
  *elements(close: string): Generator<EdnForm> {
    const opened = this.#line;
    this.#at++;
    while (true) {
      this.skip();
      if (this.atEnd())
        throw this.error(`the text ends, but what was opened on line ${opened} is not closed; "${close}" is missing`);
      if (this.peek() === close) {
        this.#at++;
        return;
      }
      const line = this.#line;
      yield { value: this.value(), line };
    }
  }

  value(): Edn {
    this.skip();
    const character = this.peek();
    switch (character) {
      case "":
        throw this.error("the text ends where a value should be");
      case "[":
        return this.#collect("]");
      case "(":
        return this.#collect(")");
      case "{":
        return this.#map();
      case '"':
        return this.#string();
      case "\\":
        return this.#character();
      case "#":
        return this.#dispatch();
      case "]":
      case ")":
      case "}":
        throw this.error(`"${character}" closes nothing`);
      default:
        return this.#atom();
    }
  }

  #collect(close: string): Edn {
    const values: Edn[] = [];
    for (const { value } of this.elements(close)) values.push(value);
    return values;
  }

  #map(): Edn {
    const values = this.#collect("}") as readonly Edn[];
    if (values.length % 2 !== 0) throw this.error("a map with a key but no value for it");
    const map: Record<string, Edn> = {};
    for (let i = 0; i < values.length; i += 2) {
      const key = values[i] as Edn;
      map[typeof key === "string" ? key : JSON.stringify(key)] = values[i + 1] as Edn;
    }
    return map;
  }

  #string(): string {
    let text = "";
    this.#at++;
    while (true) {
      const character = this.#text[this.#at++];
      if (character === undefined) throw this.error("a string that is not closed");
      if (character === '"') return text;
      if (character === "\n") this.#line++;
      if (character !== "\\") {
        text += character;
        continue;
      }
      const escape = this.#text[this.#at++] ?? "";
      if (escape === "u") {
        text += String.fromCharCode(Number.parseInt(this.#text.slice(this.#at, this.#at + 4), 16));
        this.#at += 4;
      } else {
        text += ESCAPES[escape] ?? escape;
      }
    }
  }

  #character(): string {
    this.#at++;
    const name = this.#token() || (this.#text[this.#at++] ?? "");
    return NAMED_CHARACTERS[name] ?? name;
  }

  #dispatch(): Edn {
    this.#at++;
    if (this.peek() === "{") return this.#collect("}");
    // A tag says how to read what follows; histories carry their meaning without it.
    this.#token();
    return this.value();
  }

  #token(): string {
    const from = this.#at;
    while (!this.atEnd() && !DELIMITERS.has(this.peek())) this.#at++;
    return this.#text.slice(from, this.#at);
  }

  #atom(): Edn {
    const token = this.#token();
    if (token === "nil") return null;
    if (token === "true") return true;
    if (token === "false") return false;
    if (token.startsWith(":")) return token.slice(1);
    if (/^[+-]?\d/.test(token)) {
      const number = Number(token.replace(/[NM]$/, ""));
      if (Number.isNaN(number)) throw this.error(`${token} looks like a number, but is none`);
      return number;
    }
    return token;
  }
}
