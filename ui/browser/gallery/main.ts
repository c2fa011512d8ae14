import { createApp } from 'vue'
import { i18n, speak } from '@/i18n'
import '@/styles/main.css'
import Gallery from './Gallery.vue'

const wish = new URLSearchParams(location.search)
document.documentElement.dataset.theme = wish.get('theme') ?? 'light'
await speak(wish.get('language') === 'ru' ? 'ru' : 'en')
createApp(Gallery).use(i18n).mount('#app')
