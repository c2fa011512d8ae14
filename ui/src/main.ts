import { QueryClient, VueQueryPlugin } from '@tanstack/vue-query'
import { createPinia } from 'pinia'
import { createApp } from 'vue'
import App from './App.vue'
import { Problem } from './api/problem'
import { i18n, preferredLanguage, speak } from './i18n'
import { listen } from './keyboard/shortcuts'
import { tell } from './parts/toasts'
import { router } from './router'
import { followTheme } from './session/theme'
import './styles/main.css'

const TRIES = 3

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      // What can't go better is shown at once.
      retry: (failures, error) => failures < TRIES && error instanceof Problem && error.passing,
      retryDelay: (failures) => Math.min(500 * 2 ** failures, 5000),
      staleTime: 2000,
    },
  },
})

// A gateway of another version has other files; one that is away has none.
window.addEventListener('vite:preloadError', () => tell('bad', i18n.global.t('problem.part_missing')))
followTheme()
listen(window)
// With the router begins the way to the first screen, and the question who is signed in; the language comes meanwhile.
const app = createApp(App).use(createPinia()).use(i18n).use(router).use(VueQueryPlugin, { queryClient: queries })
await speak(preferredLanguage())
app.mount('#app')
