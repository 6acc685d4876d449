// What helps while reading: which chapters were visited and which quizzes solved (kept in this
// browser alone), and what the glossary says on a term that is pointed at.
(() => {
  const KEY = "u-net-book";
  const here = (address) => new URL(address, location.href).pathname;
  const script = document.currentScript.src;

  /** What was noted; nothing where the browser keeps nothing. */
  function noted() {
    try {
      return JSON.parse(localStorage.getItem(KEY)) ?? {};
    } catch {
      return {};
    }
  }

  function note(page, value) {
    try {
      const all = noted();
      localStorage.setItem(KEY, JSON.stringify({ ...all, [page]: { ...all[page], ...value } }));
    } catch {} // a private window
  }

  /** A tick behind each link to a chapter that was visited, two where its quiz is solved. */
  function tick() {
    const pages = noted();
    for (const link of document.querySelectorAll(".bd-sidebar-primary a, .chapter-card a")) {
      const { visited, solved } = pages[here(link.getAttribute("href"))] ?? {};
      if (!visited) continue;
      link.dataset.seen = solved ? "✓✓" : "✓";
      link.title = solved ? "visited, quiz solved" : "visited";
    }
  }

  /** Questions of the page: answers that follow each other belong to one. */
  function questions() {
    const answers = [...document.querySelectorAll("details.answer")];
    const groups = [];
    for (const answer of answers) {
      const before = answer.previousElementSibling;
      if (before?.matches("details.answer")) groups.at(-1).push(answer);
      else groups.push([answer]);
    }
    return groups;
  }

  /** A question is solved when its right answer was the first that was opened. */
  function watchQuiz() {
    const groups = questions();
    const open = groups.map(() => null);
    groups.forEach((group, i) => group.forEach((answer) => {
      answer.addEventListener("toggle", () => {
        if (!answer.open || open[i] !== null) return;
        open[i] = Boolean(answer.querySelector(".verdict-right"));
        if (open.every(Boolean)) {
          note(here(location.href), { solved: true });
          tick();
        }
      });
    }));
  }

  let explanations = null;
  /** The glossary's words by the name of their place, fetched once. */
  function explained() {
    explanations ??= new Promise((resolve, reject) => {
      const part = document.createElement("script");
      part.src = new URL("explanations.js", script);
      part.onload = () => resolve(window.EXPLANATIONS);
      part.onerror = reject;
      document.head.append(part);
    });
    return explanations;
  }

  /** A small box beside the term, while a pointer or the keyboard's focus is on it. */
  function explainTerms() {
    const box = document.createElement("div");
    Object.assign(box, { className: "explanation", role: "tooltip", id: "explanation" });
    box.hidden = true;
    document.body.append(box);
    let pointed = null;
    const leave = () => {
      pointed?.removeAttribute("aria-describedby");
      pointed = null;
      box.hidden = true;
    };
    const enter = async ({ currentTarget: link }) => {
      pointed = link;
      const text = (await explained())[link.hash.slice(1)];
      if (pointed !== link || !text) return;
      box.textContent = text;
      box.hidden = false;
      link.setAttribute("aria-describedby", box.id);
      const { left, bottom, top } = link.getBoundingClientRect();
      const { offsetWidth: width, offsetHeight: height } = box;
      const above = bottom + height + 8 > innerHeight && top > height + 8;
      box.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`;
      box.style.top = `${above ? top - height - 6 : bottom + 6}px`;
    };
    for (const link of document.querySelectorAll('a[href*="glossary.html#term-"]')) {
      link.addEventListener("pointerenter", enter);
      link.addEventListener("focus", enter);
      link.addEventListener("pointerleave", leave);
      link.addEventListener("blur", leave);
    }
    addEventListener("scroll", leave, { passive: true });
    addEventListener("keydown", ({ key }) => key === "Escape" && leave());
  }

  /** The line through the first page's image follows its slider. */
  function moveDivider() {
    for (const slider of document.querySelectorAll(".hero-pair input")) {
      slider.addEventListener("input", () =>
        slider.parentElement.style.setProperty("--cut", `${slider.value}%`));
    }
  }

  function begin() {
    if (/\/notebooks\/[^/]+$/.test(location.pathname)) note(here(location.href), { visited: true });
    tick();
    watchQuiz();
    explainTerms();
    moveDivider();
  }
  begin();
})();
