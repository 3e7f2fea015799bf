"use strict";
const samples = [...document.querySelectorAll("[data-sample]")];
const given = () => samples.flatMap((sample) => {
  const chosen = sample.querySelector("input[type=radio]:checked");
  if (!chosen) return [];
  return [{ sample: sample.dataset.sample, verdict: chosen.value, note: sample.querySelector("textarea").value }];
});
const show = () => {
  document.getElementById("count").textContent = `${given().length} of ${samples.length} plans have a verdict`;
};
document.addEventListener("change", show);
document.getElementById("save").addEventListener("click", () => {
  const text = JSON.stringify({ campaign: document.body.dataset.campaign, reviews: given() }, null, 2);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = "verdicts.json";
  link.click();
  URL.revokeObjectURL(link.href);
});
show();
