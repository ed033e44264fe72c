// A file that is chosen is put where its text could be pasted.
"use strict";
for (const picked of document.querySelectorAll("input[type=file][data-into]")) {
  const into = document.getElementById(picked.dataset.into);
  if (!into) continue;
  picked.closest("[hidden]")?.removeAttribute("hidden");
  // What is pasted instead, or no file at all, has nothing wrong with it.
  into.addEventListener("input", () => picked.setCustomValidity(""));
  picked.addEventListener("change", async () => {
    picked.setCustomValidity("");
    const file = picked.files[0];
    if (!file) return;
    let text = "";
    let wrong = "";
    try {
      // What is not UTF-8 would come out as other words without a warning.
      text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
    } catch (error) {
      wrong =
        error instanceof TypeError
          ? "This file is not UTF-8 text, so nothing of it was taken. Save it as CSV UTF-8 and choose it again."
          : "This file could not be read. Choose it again.";
    }
    if (!wrong) {
      into.value = text;
      return;
    }
    picked.setCustomValidity(wrong);
    picked.reportValidity();
  });
}
