// What became of the nuclei that the simulator drew: found, taken together, or missed.

/** Numbers of one answer against the truth. Each nucleus belongs to the instance that has most of
 *  its pixels: `together` count with another one of the same instance, `missed` have none. Of the
 *  instances without a nucleus, `pieces` lie on one at least in part, `strange` on none. So the
 *  instances are as many as the nuclei, less together and missed, and pieces and strange more. */
export function compare(labels, truth) {
  const shares = new Map(); // nucleus, then instance: pixels that both have
  const [instances, touching] = [new Set(), new Set()];
  labels.forEach((label, i) => {
    if (label) instances.add(label);
    if (!truth[i]) return;
    if (!shares.has(truth[i])) shares.set(truth[i], new Map());
    if (!label) return;
    touching.add(label);
    const share = shares.get(truth[i]);
    share.set(label, (share.get(label) ?? 0) + 1);
  });
  const found = [...shares.values()].filter((share) => share.size);
  const owners = new Set(found.map(largest));
  return {
    together: found.length - owners.size,
    missed: shares.size - found.length,
    pieces: touching.size - owners.size,
    strange: instances.size - touching.size,
  };
}

/** The instance with most pixels, of equals the one with the lowest number. */
const largest = (share) =>
  [...share].reduce((a, b) => (b[1] > a[1] || (b[1] === a[1] && b[0] < a[0]) ? b : a))[0];

/** Why the count is not that of the simulator, in words; "" where nothing is to be said. */
export function explain({ together, missed, pieces, strange }) {
  const be = (n) => (n === 1 ? "is" : "are");
  const count = (n) => (n === 1 ? "counts" : "count");
  const parts = [
    [together, `${together} ${count(together)} as one with a neighbor`],
    [missed, `${missed} ${be(missed)} missed`],
    [pieces, `${pieces} found ${be(pieces)} a piece of another`],
    [strange, `${strange} found where none was drawn`],
  ].filter(([n]) => n).map(([, words]) => words);
  const last = parts.pop();
  if (!last) return "";
  return `: ${parts.length ? `${parts.join(", ")} and ` : ""}${last}`;
}
