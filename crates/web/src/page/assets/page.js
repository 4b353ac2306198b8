// What the page does beyond links and forms; everything works without it.
(() => {
  "use strict";
  document.documentElement.classList.add("scripted");

  // A command is copied by the button beside it.
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button || !navigator.clipboard) return;
    navigator.clipboard.writeText(button.dataset.copy).then(() => {
      const word = button.textContent;
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = word; }, 1500);
    });
  });

  // One box ticks all of its form.
  document.addEventListener("change", (event) => {
    if (!event.target.matches("[data-all]")) return;
    for (const box of event.target.form.querySelectorAll("input[name=ids]")) {
      box.checked = event.target.checked;
    }
  });
})();
