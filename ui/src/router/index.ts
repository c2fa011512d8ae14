import { createRouter, createWebHistory } from 'vue-router'
import { onSignedOut } from '@/api/client'
import { useSession } from '@/session/store'

declare module 'vue-router' {
  interface RouteMeta {
    /** Without navigation around it, and for everybody. */
    bare?: boolean
    /** Its `id` names a run: the page's stream is about it. */
    run?: boolean
  }
}

export const router = createRouter({
  history: createWebHistory(),
  scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 },
  routes: [
    { path: '/', component: () => import('@/screens/Home.vue') },
    { path: '/sign-in', component: () => import('@/screens/SignIn.vue'), meta: { bare: true } },
    { path: '/trouble', component: () => import('@/screens/Trouble.vue'), meta: { bare: true } },
    { path: '/runs', component: () => import('@/screens/Runs.vue') },
    { path: '/runs/:id', component: () => import('@/screens/Run.vue'), props: true, meta: { run: true } },
    { path: '/deliveries', component: () => import('@/screens/Deliveries.vue') },
    { path: '/deliveries/:id', component: () => import('@/screens/Delivery.vue'), props: true },
    { path: '/projects', component: () => import('@/screens/Projects.vue') },
    { path: '/projects/:project', component: () => import('@/screens/Project.vue'), props: true },
    { path: '/repositories', component: () => import('@/screens/Repositories.vue') },
    { path: '/agents', component: () => import('@/screens/Agents.vue') },
    { path: '/agents/:repository/:agent', component: () => import('@/screens/Agent.vue'), props: true },
    { path: '/people', component: () => import('@/screens/People.vue') },
    { path: '/audit', component: () => import('@/screens/Audit.vue') },
    { path: '/settings', component: () => import('@/screens/Settings.vue') },
    { path: '/profile', component: () => import('@/screens/Profile.vue') },
    { path: '/:rest(.*)*', component: () => import('@/screens/Nowhere.vue') },
  ],
})

// A page that was open when its sign-in ended: back to the same place after the next one.
onSignedOut(() => {
  const session = useSession()
  if (!session.me) return
  session.forget()
  void router.push({ path: '/sign-in', query: { to: router.currentRoute.value.fullPath } })
})

router.beforeEach(async (to) => {
  const session = useSession()
  if (to.meta.bare || session.me) return true
  // The screen comes meanwhile; whether it could be fetched, the router finds out by itself.
  for (const { components } of to.matched) void (components?.default as (() => Promise<unknown>) | undefined)?.().catch(() => undefined)
  try {
    if (await session.load()) return true
  } catch {
    return { path: '/trouble', query: { to: to.fullPath } }
  }
  return { path: '/sign-in', query: to.fullPath === '/' ? {} : { to: to.fullPath } }
})
