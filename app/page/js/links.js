// @ts-check
// The links of the page: one table of all that a link may carry, from which every tab's link is written and read.

export const LINK_VERSION = "1";

const numbers = (raw) => raw.split(",").filter(Boolean).map(number);
// A value that is no number stays as it was written, so that the server can name it.
const number = (raw) => (raw !== "" && Number.isFinite(Number(raw)) ? Number(raw) : raw);

/** How a value of each type is written into a link and read from one. */
const TYPES = {
  text: { write: String, read: (raw) => raw },
  number: { write: String, read: number },
  optional: {
    write: (value) => (value === null ? "" : String(value)),
    read: (raw) => (raw === "" ? null : number(raw)),
  },
  step: { write: String, read: (raw) => Math.max(0, parseInt(raw, 10) || 0) },
  boolean: { write: String, read: (raw) => raw === "true" },
  one: { write: () => "1", read: (raw) => raw === "1" },
  zero: { write: () => "0", read: (raw) => raw === "0" },
  present: { write: () => "present", read: (raw) => raw === "present" },
  numbers: { write: (list) => list.join(","), read: numbers },
  pairs: {
    write: (list) => list.map((pair) => pair.join(".")).join(","),
    read: (raw) =>
      raw
        .split(",")
        .filter(Boolean)
        .map((pair) => pair.split(".").map(number)),
  },
  // An id may hold a comma itself; one that is broken stays as it is, for the server to refuse.
  ids: {
    write: (list) => list.map(encodeURIComponent).join(","),
    read: (raw) => raw.split(",").filter(Boolean).map(decoded),
  },
};

function decoded(raw) {
  try {
    return decodeURIComponent(raw);
  } catch {
    return raw;
  }
}

/**
 * Every property of the page that a link carries; `declareSettings` adds the decode settings.
 * @type {{ name: string, type: keyof typeof TYPES, default: any, key: string }[]}
 */
export const PROPS = [
  { name: "tab", type: "text", default: "watch", key: "tab" },
  { name: "version", type: "text", default: null, key: "v" },
  { name: "ids", type: "ids", default: [], key: "h" },
  { name: "target", type: "text", default: null, key: "t" },
  { name: "checkpoint", type: "text", default: null, key: "ck" },
  { name: "step", type: "step", default: 0, key: "step" },
  { name: "present", type: "present", default: false, key: "view" },
  { name: "left", type: "text", default: "", key: "left" },
  { name: "right", type: "text", default: "", key: "right" },
  { name: "case", type: "text", default: "", key: "case" },
  { name: "table", type: "text", default: null, key: "table" },
  { name: "sample", type: "text", default: null, key: "sample" },
  { name: "about", type: "text", default: null, key: "about" },
  { name: "sort", type: "text", default: null, key: "sort" },
  { name: "down", type: "one", default: false, key: "down" },
  { name: "lesson", type: "text", default: null, key: "lesson" },
  { name: "game", type: "text", default: "", key: "game" },
  { name: "dials", type: "text", default: "", key: "lab" },
  { name: "bare", type: "zero", default: false, key: "controls" },
  { name: "theme", type: "text", default: null, key: "__theme" },
];

const SETTING = "config.";

/**
 * Add the decode settings to PROPS, as the server declares them; their values are properties of `config`, and the
 * default of each is that of its checkpoint.
 * @param {Record<string, string>} [types] a name of TYPES by setting
 */
export function declareSettings(types = {}) {
  for (const [key, type] of Object.entries(types)) {
    const name = SETTING + key;
    if (!PROPS.some((prop) => prop.name === name))
      PROPS.push({ name, type: /** @type {keyof typeof TYPES} */ (type), default: undefined, key });
  }
}

const FILTER = "f.";
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/**
 * The address of a state of the page. Values at their defaults are left out.
 * @param {string} href the page's address now; its path stays
 * @param {Record<string, any>} values by name of PROPS, with `config` (settings) and `filters` (of the table of cases)
 * @param {Record<string, any>} base the settings of the checkpoint
 */
export function writeLink(href, values, base = {}) {
  const url = new URL(href.split(/[?#]/)[0]);
  const all = { ...values, version: values.ids && values.ids.length ? LINK_VERSION : null };
  for (const prop of PROPS) {
    const setting = prop.name.startsWith(SETTING);
    const value = setting ? (values.config || {})[prop.key] : all[prop.name];
    const usual = setting ? base[prop.key] : prop.default;
    if (value === undefined || same(value, usual) || (value === null && !setting)) continue;
    url.searchParams.set(prop.key, TYPES[prop.type].write(value));
  }
  for (const [key, value] of Object.entries(values.filters || {})) url.searchParams.set(FILTER + key, value);
  return url.href;
}

/**
 * The values that an address carries, defaults where it is silent; `config` holds only the settings that it names.
 * Ids and settings are not checked here: the server does that.
 * @param {string} href
 * @returns {Record<string, any>}
 */
export function readLink(href) {
  const given = new URL(href).searchParams;
  const values = { config: {}, filters: {} };
  for (const prop of PROPS) {
    const raw = given.get(prop.key);
    const setting = prop.name.startsWith(SETTING);
    if (setting && raw !== null) values.config[prop.key] = TYPES[prop.type].read(raw);
    else if (!setting) values[prop.name] = raw === null ? prop.default : TYPES[prop.type].read(raw);
  }
  for (const [key, value] of given) if (key.startsWith(FILTER)) values.filters[key.slice(FILTER.length)] = value;
  return values;
}
