// The clinic's index (chapter 9d and its second page) as cards: found by symptom or by words, each
// with the figure of its case where that stands on the page. Without it the index is a plain list.
(() => {
  const plain = document.querySelector(".bd-article div.clinic");
  if (!plain) return;

  const words = (node) => node.textContent.replace(/\s+/g, " ").trim();

  /** A new element with a class and a text, and what it holds. */
  function make(tag, name, text = "", ...inside) {
    const element = document.createElement(tag);
    if (name) element.className = name;
    element.append(...(text ? [text] : []), ...inside);
    return element;
  }

  /** What an item of a list says itself, without the lists in it. */
  function own(item) {
    const copy = item.cloneNode(true);
    for (const list of copy.querySelectorAll("ol, ul")) list.remove();
    return words(copy);
  }

  const places = new Map(); // cases by their place, "#mask-…"

  /** One case: its link, its words, its figure; a case that comes twice is the same one. */
  function place(item, symptom, stage) {
    const link = item.querySelector('a[href*="#mask-"]');
    const title = words(link);
    const fresh = { title, href: link.href, cause: "", symptoms: [], text: "" };
    const found = places.get(link.hash) ?? fresh;
    const said = own(item).slice(title.length).replace(/^\s*:\s*/, "");
    const figure = document.getElementById(`fig-${link.hash.slice(1)}`);
    const caption = figure?.querySelector(".caption-text");
    const image = figure?.querySelector("img");
    found.cause ||= said || (caption ? words(caption) : "");
    found.image ??= image?.src;
    found.symptoms.push(symptom);
    found.text += ` ${title} ${found.cause} ${symptom} ${stage} ${image?.alt ?? ""}`.toLowerCase();
    places.set(link.hash, found);
    return found;
  }

  /** Symptoms with their stages, and the cases of each, as the list has them. */
  function read() {
    const symptoms = [];
    for (const child of plain.children) {
      if (child.matches("p")) symptoms.push({ name: words(child), stages: [] });
      if (!child.matches("ol, ul")) continue;
      const { name, stages } = symptoms.at(-1);
      [...child.children].forEach((item, i) => {
        const cases = [...item.querySelectorAll("li")];
        if (cases.length) {
          const stage = `${child.matches("ol") ? `${i + 1}. ` : ""}${own(item)}`;
          stages.push({ name: stage, cases: cases.map((one) => place(one, name, stage)) });
        } else {
          if (!stages.length) stages.push({ name: "", cases: [] });
          stages[0].cases.push(place(item, name, ""));
        }
      });
    }
    return symptoms;
  }

  function card(found, symptom) {
    const item = make("li", "clinic-card");
    if (found.image) {
      const image = make("img", "");
      Object.assign(image, { alt: "", loading: "lazy", src: found.image });
      item.append(image); // the link says in words what it shows
    }
    const link = make("a", "", found.title);
    link.href = found.href;
    const others = found.symptoms.filter((other) => other !== symptom)
      .map((other) => other[0].toLowerCase() + other.slice(1));
    item.append(link, make("p", "", found.cause));
    const also = `Also looks like: ${others.join("; ")}`;
    if (others.length) item.append(make("p", "clinic-look", also));
    return item;
  }

  const symptoms = read();
  const told = make("p", "clinic-told");
  told.setAttribute("role", "status");
  const field = make("input", "");
  field.type = "search";
  const group = make("div", "clinic-symptoms");
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", "What to show");
  const tools = make("div", "clinic-tools", "", group, make("label", "", "Words ", field), told);
  const board = make("div", "clinic-board", "", tools);
  let chosen = symptoms[0].name; // null: all of them

  /** Show the cases of the chosen symptom that have all the words asked for. */
  function refresh() {
    const asked = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const seen = new Set();
    for (const { name, shown, stages } of symptoms) {
      const here = chosen === null || chosen === name;
      for (const stage of stages) {
        stage.cards.forEach((item, i) => {
          item.hidden = !here || !asked.every((word) => stage.cases[i].text.includes(word));
          if (!item.hidden) seen.add(stage.cases[i]);
        });
        stage.shown.hidden = stage.cards.every((item) => item.hidden);
      }
      shown.hidden = stages.every((stage) => stage.shown.hidden);
      shown.firstChild.hidden = chosen !== null; // the pressed button says it already
    }
    for (const button of group.children) {
      button.setAttribute("aria-pressed", String(button.symptom === chosen));
    }
    told.textContent = `${seen.size} of ${places.size} cases`;
  }

  function choose(symptom) {
    chosen = symptom;
    refresh();
  }

  for (const symptom of [null, ...symptoms.map(({ name }) => name)]) {
    const button = make("button", "", symptom ?? "All");
    button.type = "button";
    button.symptom = symptom;
    button.addEventListener("click", () => choose(symptom));
    group.append(button);
  }
  for (const part of symptoms) {
    part.shown = make("div", "", "", make("p", "clinic-symptom", part.name));
    for (const stage of part.stages) {
      stage.cards = stage.cases.map((found) => card(found, part.name));
      stage.shown = make("div", "");
      if (stage.name) stage.shown.append(make("p", "clinic-stage", stage.name));
      stage.shown.append(make("ul", "clinic-cards", "", ...stage.cards));
      part.shown.append(stage.shown);
    }
    board.append(part.shown);
  }
  // Words are looked for under all symptoms.
  field.addEventListener("input", () => choose(field.value.trim() ? null : chosen));
  plain.classList.add("clinic-plain");
  plain.before(board);
  refresh();
})();
