import { defineStore } from 'pinia'
import { computed, ref } from 'vue'
import { answer, api } from '@/api/client'
import { Problem } from '@/api/problem'
import type { components } from '@/api/schema'
import { languages, speak, type Language } from '@/i18n'
import { theme, themes, type Theme } from './theme'

type Me = components['schemas']['Me']

/** Who is signed in, and how they like the console. */
export const useSession = defineStore('session', () => {
  const me = ref<Me>()
  /** Why nobody knows who is signed in. */
  const trouble = ref<unknown>()
  const name = computed(() => me.value?.name ?? me.value?.login ?? me.value?.email ?? '')
  const initials = computed(() =>
    name.value
      .split(/[\s._@-]+/u)
      .slice(0, 2)
      .map((word) => word.charAt(0).toLocaleUpperCase())
      .join(''),
  )
  const isAdmin = computed(() => me.value?.role === 'owner' || me.value?.role === 'admin')

  /** The engine's own web UI, if the person may open it. */
  const engine = computed(() => me.value?.engine_ui ?? undefined)

  const isOwner = computed(() => me.value?.role === 'owner')

  /** Asks who is signed in; says whether anybody is. */
  async function load(): Promise<boolean> {
    try {
      me.value = await answer(api.GET('/api/v1/me'))
    } catch (error) {
      if (error instanceof Problem && error.status === 401) return false
      trouble.value = error
      throw error
    }
    theme.value = themes.find((known) => known === me.value?.theme) ?? theme.value
    const wish = languages.find((known) => known === me.value?.language)
    if (wish) await speak(wish)
    return true
  }

  /** Changes how the console looks and speaks, here at once and for other browsers too. */
  async function choose(wish: { theme?: Theme; language?: Language }): Promise<void> {
    if (wish.theme) theme.value = wish.theme
    if (wish.language) await speak(wish.language)
    if (me.value) me.value = await answer(api.PATCH('/api/v1/me', { body: wish }))
  }

  /** Nobody is signed in any more. */
  function forget(): void {
    me.value = undefined
  }

  /** Ends this sign-in. */
  async function signOut(): Promise<void> {
    await fetch('/auth/logout', { method: 'POST' }).catch(() => undefined)
    window.location.assign('/sign-in')
  }

  return { me, trouble, name, initials, isAdmin, isOwner, engine, load, choose, forget, signOut }
})
