import { accessible } from './accessible'
import { expect, labelIssue, openIssue, signIn, state, test } from './platform'

test.beforeEach(({ page }) => signIn(page, 'maintainer'))

test('keys lead everywhere: sheet, palette, g and a letter', async ({ page }) => {
  await page.keyboard.press('?')
  await expect(page.getByRole('dialog', { name: 'Keys' })).toBeVisible()
  await accessible(page)
  await page.keyboard.press('Escape')
  await expect(page.getByRole('dialog')).toHaveCount(0)

  await page.keyboard.press('g')
  await page.keyboard.press('e')
  await expect(page).toHaveURL(/\/people$/)
  await expect(page.locator('main')).toBeFocused()

  await page.keyboard.press('Control+k')
  // The page below has boxes of its own to choose from, once its people are there.
  await page.getByRole('dialog').getByRole('combobox').fill('prof')
  await accessible(page)
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(/\/profile$/)
})

test('the whole console is reached by Tab, the first of it skips the navigation', async ({ page }) => {
  await page.goto('/projects')
  await expect(page.getByRole('heading', { name: 'Projects' })).toBeVisible()
  await page.keyboard.press('Tab')
  await expect(page.getByRole('link', { name: 'Skip to the content' })).toBeFocused()
  await page.keyboard.press('Enter')
  await expect(page.locator('main')).toBeFocused()
})

test('a narrow window has the navigation behind a button', async ({ page }) => {
  await page.setViewportSize({ width: 420, height: 800 })
  await page.getByRole('button', { name: 'Menu' }).click()
  await accessible(page)
  await page.getByRole('link', { name: 'My profile' }).click()
  await expect(page).toHaveURL(/\/profile$/)
  await expect(page.getByRole('dialog')).toHaveCount(0)
  await accessible(page)
})

test('an address that leads nowhere says so', async ({ page }) => {
  await page.goto('/no/such/page')
  await expect(page.getByText('The address leads nowhere, or to something that you may not see.')).toBeVisible()
  await accessible(page)
})

test('what is on screen is live, stale while the gateway is away, and live again', async ({ page }) => {
  await page.goto('/projects')
  await expect(page.getByText('Live', { exact: true })).toBeVisible()
  await page.route(`${state.gateway_url}/api/**`, (route) => route.abort())
  await expect(page.getByText('Out of date')).toBeVisible({ timeout: 40_000 })
  await page.unroute(`${state.gateway_url}/api/**`)
  await expect(page.getByText('Live', { exact: true })).toBeVisible({ timeout: 30_000 })
})

test('a screen is fetched while it is asked who is signed in', async ({ page }) => {
  const screen = page.waitForRequest(/\/assets\/Audit-[^/]+\.js$/)
  await page.route('**/api/v1/me', async (route) => {
    await screen
    await route.continue()
  })
  await page.goto('/audit')
  await expect(page.getByRole('heading', { level: 1, name: 'Audit' })).toBeVisible()
})

test('no screen needs more than 150 kB of JavaScript at its first load', async ({ page }) => {
  // The language with more to fetch, and the run's page, which has the most parts.
  await page.evaluate(() => {
    localStorage.setItem('language', 'ru')
  })
  await page.goto('/runs')
  await labelIssue(await openIssue('Weighed', 'no-change'), 'run:dev')
  const run = (await page.getByRole('link', { name: /Weighed/ }).first().getAttribute('href')) ?? ''
  const session = await page.context().newCDPSession(page)
  await session.send('Network.setCacheDisabled', { cacheDisabled: true })
  const sizes: Record<string, number> = {}
  for (const path of ['/', '/runs', run, `${run}?tab=history`, '/deliveries', '/projects/acme-greeter', '/repositories', '/people', '/audit', '/profile']) {
    await page.goto(path)
    await expect(page.getByRole('heading', { level: 1 }).first()).toBeVisible()
    await expect(page.getByRole('main').getByText('Загрузка…')).toHaveCount(0)
    if (path === run) await expect(page.getByRole('log')).toBeVisible()
    sizes[path] = await page.evaluate(() => {
      const fetched = performance.getEntriesByType('resource') as PerformanceResourceTiming[]
      return fetched.filter((one) => new URL(one.name).pathname.endsWith('.js')).reduce((sum, one) => sum + one.encodedBodySize, 0)
    })
  }
  expect(Math.min(...Object.values(sizes)), 'all of it is counted').toBeGreaterThan(50_000)
  expect(Object.entries(sizes).filter(([, bytes]) => bytes > 150_000)).toEqual([])
})

test('the page is served under a strict policy, its files for good', async ({ request }) => {
  const page = await request.get('/', { headers: { accept: 'text/html' } })
  expect(page.headers()['content-security-policy']).toContain("script-src 'self'")
  expect(page.headers()['cache-control']).toBe('no-cache')
  const [, asset] = /src="(\/assets\/[^"]+\.js)"/.exec(await page.text()) ?? []
  const file = await request.get(asset ?? '')
  expect(file.headers()['cache-control']).toContain('immutable')
  expect(file.headers()['content-encoding']).toBe('gzip')
})
