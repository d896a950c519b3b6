// Everything is in place: boards open, and listeners are told.

if (page.boards && Object.keys(page.boards).length) {
  startTheme();
  startTables();
  startFilter();
  startHighlight();
  startMatrices();
  startCurves();
  startTraining();
  startClips();
  startSwitch();
  document.documentElement.classList.add("ready");
} else {
  startTheme();
}
