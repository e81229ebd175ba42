// @ts-check
// The shapes of what the server sends and the page asks: types for the editor and the checker, no code.

/**
 * @typedef {{ name: string, kind: "category" | "semantic" }} Level
 *
 * @typedef {{ row: number, item_id: string, title: string, path: string[], brand: string | null }} Item
 *   An item of the trace; `row` is its row in the catalog.
 *
 * @typedef {{ position: number, code: number, p: number | null, forced: boolean }} Reveal
 *   A token that a step fills in; `p` is null for a pinned token, `forced` says that the catalog left one choice.
 *
 * @typedef {object} Beam
 * @property {(number | null)[]} codes one code a level, null while masked
 * @property {number} score log probability
 * @property {number | null} parent rank of its parent in the step before
 * @property {Reveal[]} revealed
 * @property {number} items how many items are still possible
 * @property {number | null} item row of its item once the beam is complete
 *
 * @typedef {{ codes: (number | null)[], score: number, parent: number, position: number, code: number,
 *   why: "cut" | "merged", behind: number }} Dropped
 *
 * @typedef {{ code: number, p: number, raw: number, token: number, evidence: number | null,
 *   items: number, why: string | null }} Alternative
 *
 * @typedef {{ beam: number, chosen: number[],
 *   open: { position: number, entropy: number, legal: number, alternatives: Alternative[] }[] }} Opinion
 *
 * @typedef {{ beams: Beam[], dropped: Dropped[], opinions: Opinion[],
 *   gold: { beams: number, rank: number | null, margin: number | null } | null, possible: Possible | null }} Step
 *
 * @typedef {object} Trace
 * @property {Level[]} levels
 * @property {Record<string, string>[]} labels name of each code, one table a level
 * @property {Item[]} items every item that the trace speaks of
 * @property {Record<string, string>} titles by row, of all others that are possible in some step
 * @property {number[]} history rows of the items of the history
 * @property {Config} config
 * @property {Step[]} steps step 0 is before the first reveal
 * @property {{ row: number, rank: number, probability: number }[]} results
 * @property {{ row: number, codes: number[], excluded: boolean, died_at: number | null, margin: number | null } | null
 *   } gold the true next item
 *
 * @typedef {object} Possible
 *   Rows of the likeliest items behind each partial answer of a step.
 * @property {number[][]} beams
 * @property {number[][][][]} alternatives by opinion, open position and alternative; none at a category level
 * @property {number[][]} dropped
 *
 * @typedef {object} Bundle
 * @property {Trace} trace
 * @property {string[]} captions one a step
 * @property {{ step: number, kind: "first" | "category" | "item" | "lost" }[]} events
 * @property {Record<string, string>} names names of codes, by "position.code"
 * @property {any} tree
 * @property {Record<string, number>} lift by row, an answer's share of the search over its share of all that was taken
 * @property {string | null} checkpoint null when no checkpoint of this server made it
 * @property {boolean} [partial] true while the decode still runs
 *
 * @typedef {Record<string, any> & { pins: [number, number][], forbid_tokens: [number, number][] }} Config
 *   The decode settings, as `mindrec.decoding.config` declares them.
 *
 * @typedef {{ id: string, title: string, path: string[], brand: string | null }} HistoryItem
 *
 * @typedef {object} Query
 * @property {string | null} checkpoint
 * @property {HistoryItem[]} items
 * @property {HistoryItem | null} target
 * @property {Config} config
 */

export {};
