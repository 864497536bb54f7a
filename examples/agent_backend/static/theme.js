// Loaded before the page is drawn, so that no light page flashes up in the dark.
document.documentElement.dataset.theme = localStorage.theme || "system";
