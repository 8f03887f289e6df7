// Runs before the first paint: the theme that was chosen here, where one was.
(() => {
  const root = document.documentElement;
  const stored = () => { try { return localStorage.getItem("movierec.theme"); } catch { return null; } };
  const chosen = stored();
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  root.classList.add("scripted");
})();
