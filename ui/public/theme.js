// Before the first paint, so that nobody who reads in the dark is blinded.
;(function () {
  var wish = null
  try {
    wish = localStorage.getItem('theme')
  } catch {
    // A browser that keeps nothing follows the system.
  }
  var dark = wish === 'dark' || (wish !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches)
  document.documentElement.dataset.theme = dark ? 'dark' : 'light'
})()
