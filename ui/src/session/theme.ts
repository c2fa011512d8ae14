import { ref, watchEffect } from 'vue'

export const themes = ['system', 'light', 'dark'] as const
export type Theme = (typeof themes)[number]

const dark = window.matchMedia('(prefers-color-scheme: dark)')
const systemIsDark = ref(dark.matches)
dark.addEventListener('change', (event) => {
  systemIsDark.value = event.matches
})

/** What was chosen; `system` follows the machine. `public/theme.js` reads the same key before the first paint. */
export const theme = ref<Theme>(kept())

/** Keeps the page in the chosen theme from now on. */
export function followTheme(): void {
  watchEffect(() => {
    const isDark = theme.value === 'dark' || (theme.value === 'system' && systemIsDark.value)
    document.documentElement.dataset.theme = isDark ? 'dark' : 'light'
    try {
      localStorage.setItem('theme', theme.value)
    } catch {
      // The wish then lasts as long as the page.
    }
  })
}

function kept(): Theme {
  try {
    const value = localStorage.getItem('theme')
    return themes.find((known) => known === value) ?? 'system'
  } catch {
    return 'system'
  }
}
