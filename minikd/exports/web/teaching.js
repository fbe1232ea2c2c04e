// What the student learns from: the teacher's soft targets, the loss and its gradient with respect to the logits.

function showTeaching() {
  if (!byId("targets")) return;
  const T = Number(byId("temperature").value);
  const alpha = Number(byId("alpha").value);
  byId("temperature-value").textContent = T;
  byId("alpha-value").textContent = alpha.toFixed(2);
  const student = models.find((model) => model.key === byId("student").value);
  const soft = `% at T\u00a0=\u00a0${T}`;
  const heads = [headOf("Teacher", soft), headOf(student.name, soft), headOf("Gradient", "of each logit")];
  if (shown.blank) return showNoTeaching(heads);
  const [z, v] = [shown.answers.get(student.key), shown.answers.get("teacher")];
  const found = distillationLoss(z, v, Number(byId("label").value), T, alpha);
  const p = softmax(v, T);
  const q = softmax(z, T);
  const widest = Math.max(...found.soft.map(Math.abs), ...found.hard.map(Math.abs)) || 1;
  const row = (k) => [k, [bar(p[k], false), bar(q[k], false), leaning(found.gradient[k], widest)]];
  byId("targets").replaceChildren(
    table("Soft targets in per cent, and the gradient", "", heads, classesShown([p, q]).map(row)),
  );
  byId("scale").textContent = `A bar over half of the column means ${widest.toPrecision(2)}.`;
  showLoss(found, alpha);
}

function showNoTeaching(heads) {
  const row = (k) => [k, [bar(null, false), bar(null, false), leaning(null, 1)]];
  byId("targets").replaceChildren(table("Nothing to learn from yet", "", heads, classesShown([]).map(row)));
  byId("scale").textContent = "";
  showLoss({}, Number(byId("alpha").value));
}

function headOf(name, note) {
  return element(
    "th",
    { scope: "col" },
    element("span", { class: "name" }, name),
    element("span", { class: "verdict" }, note),
  );
}

// A bar from the middle: to the left if the gradient is negative.
function leaning(value, widest) {
  const fill = element("i", { class: "strong" });
  const share = (50 * Math.abs(value ?? 0)) / widest;
  fill.style.width = `${share}%`;
  fill.style.marginLeft = `${value < 0 ? 50 - share : 50}%`;
  const text = value === null ? "" : value.toFixed(Math.abs(value) < 9.995 ? 2 : 1);
  return cell("bar middle", fill, /[1-9]/.test(text) ? text.replace("-", "−") : text.replace("-", ""));
}

function showLoss({ kl, ce, loss }, alpha) {
  const line = (name, weight, value) => {
    const cells = [weight, value === undefined ? "–" : value.toFixed(3)].map((text) => element("td", {}, text));
    return element("tr", {}, element("th", { scope: "row" }, name), ...cells);
  };
  byId("loss").replaceChildren(
    line("T² · KL from the teacher", `${alpha.toFixed(2)} ×`, kl),
    line("Cross-entropy with the label", `${(1 - alpha).toFixed(2)} ×`, ce),
    line("Distillation loss", "=", loss),
  );
}

// The label of a test image. A drawing has no label, so the teacher's answer is used.
function takeLabel() {
  if (byId("label") && !shown.blank) byId("label").value = shown.label ?? largest(shown.answers.get("teacher"));
}

function startTeaching() {
  if (!byId("targets")) return;
  byId("label").append(...page.classes.map((name, k) => element("option", { value: k }, name)));
  const students = models.filter(({ key }) => key !== "teacher").reverse();
  byId("student").append(...students.map(({ key, name }) => element("option", { value: key }, name)));
  byId("temperature").min = Math.min(1, page.temperature);
  byId("temperature").max = Math.max(20, page.temperature);
  byId("temperature").value = page.temperature;
  byId("alpha").value = page.alpha;
  for (const id of ["temperature", "alpha", "label", "student"]) byId(id).addEventListener("input", showTeaching);
}
