// Comfort only: without this script everything works.
"use strict";

for (const form of document.forms) {
  form.addEventListener("submit", () => {
    const button = form.querySelector("button");
    button.disabled = true; // a second click would only ask for the same again
    button.textContent = "Reading ...";
    button.setAttribute("aria-busy", "true");
  });
}

// A page taken from the back-forward cache comes with its buttons as they were.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

const field = document.getElementById("file");
const area = field?.closest("form");
if (area) {
  for (const kind of ["dragenter", "dragover"]) {
    area.addEventListener(kind, (event) => {
      event.preventDefault();
      area.classList.add("over");
    });
  }
  for (const kind of ["dragleave", "drop"]) area.addEventListener(kind, () => area.classList.remove("over"));
  area.addEventListener("drop", (event) => {
    event.preventDefault();
    if (!event.dataTransfer.files.length) return;
    field.files = event.dataTransfer.files;
    area.requestSubmit();
  });
}
