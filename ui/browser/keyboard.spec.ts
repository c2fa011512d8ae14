import type { Page } from '@playwright/test'
import { expect, labelIssue, openIssue, signIn, state, test } from './platform'

test.describe.configure({ timeout: 120_000 })

/** Marks whatever Tab should reach, and counts it. Of a group of radio buttons Tab reaches one. */
function markReachable(page: Page): Promise<number> {
  return page.evaluate(() => {
    const all = [...document.querySelectorAll<HTMLElement>('a[href], button, input, select, textarea, summary, [tabindex="0"]')]
    const groups = new Set<string>()
    const reachable = all.filter((element) => {
      if (element.matches(':disabled, [tabindex="-1"]') || element.getClientRects().length === 0 || getComputedStyle(element).visibility === 'hidden') return false
      if (!(element instanceof HTMLInputElement) || element.type !== 'radio') return true
      const first = !groups.has(element.name)
      groups.add(element.name)
      return first
    })
    for (const element of reachable) element.dataset.reachable = element instanceof HTMLInputElement && element.type === 'radio' ? element.name : ''
    return reachable.length
  })
}

/** What has the focus, and whether one sees that it has it. */
function focused(page: Page): Promise<{ words: string; seen: boolean; end: boolean }> {
  return page.evaluate(() => {
    const element = document.activeElement
    if (!(element instanceof HTMLElement) || element === document.body) return { words: '', seen: true, end: true }
    const group = element instanceof HTMLInputElement && element.type === 'radio' ? document.querySelector<HTMLElement>(`[data-reachable="${element.name}"]`) : element
    group?.removeAttribute('data-reachable')
    // A field may be drawn by what is around it.
    const around = [element, element.parentElement, element.parentElement?.parentElement, element.parentElement?.querySelector('span')]
    const seen = around.some((one) => one && getComputedStyle(one).outlineStyle !== 'none' && getComputedStyle(one).outlineWidth !== '0px')
    return { words: element.outerHTML.slice(0, 160), seen, end: false }
  })
}

async function allByTab(page: Page, path: string): Promise<void> {
  await page.goto(path)
  await expect(page.getByRole('heading', { level: 1 }).first()).toBeVisible()
  await expect(page.getByRole('main').getByText('Loading…')).toHaveCount(0)
  const many = await markReachable(page)
  expect(many, path).toBeGreaterThan(10)
  const unseen: string[] = []
  for (let pressed = 0; pressed < many + 40; pressed += 1) {
    await page.keyboard.press('Tab')
    const now = await focused(page)
    if (now.end) break
    if (!now.seen) unseen.push(now.words)
  }
  expect(unseen, `focus that is not drawn at ${path}`).toEqual([])
  const missed = await page.evaluate(() => [...document.querySelectorAll('[data-reachable]')].map((element) => element.outerHTML.slice(0, 200)))
  expect(missed, `not reached by Tab at ${path}`).toEqual([])
}

const screens = ['/', '/runs?agent=dev', '/deliveries', '/projects', '/projects/acme-greeter', '/repositories', '/agents?project=acme-greeter', '/people', '/audit', '/settings', '/profile']

test('every screen is gone through by Tab alone, and the focus is seen', async ({ page }) => {
  await signIn(page, 'maintainer')
  for (const path of screens) await allByTab(page, path)
})

test('no screen is wider than a narrow window: only tables are moved sideways', async ({ page }) => {
  await signIn(page, 'maintainer')
  await page.setViewportSize({ width: 320, height: 640 })
  for (const path of screens) {
    await page.goto(path)
    await expect(page.getByRole('heading', { level: 1 }).first()).toBeVisible()
    await expect(page.getByRole('main').getByText('Loading…')).toHaveCount(0)
    expect(await page.evaluate(() => document.documentElement.scrollWidth), path).toBeLessThanOrEqual(320)
  }
})

test('a run and a delivery are gone through by Tab alone', async ({ page }) => {
  await signIn(page, 'maintainer', '/runs')
  const title = 'Gone through by Tab'
  await labelIssue(await openIssue(title, 'no-change'), 'run:dev')
  await page.getByRole('link', { name: new RegExp(title) }).first().click()
  await expect(page.getByRole('region', { name: 'Result' })).toContainText('Nothing to change', { timeout: 60_000 })
  const run = new URL(page.url()).pathname
  const delivery = await page.getByRole('link', { name: 'label run:dev' }).getAttribute('href')
  for (const path of [run, `${run}?tab=prompt`, `${run}?tab=history&level=compact`, delivery ?? '']) await allByTab(page, path)
})

test('j and k go through the lists', async ({ page }) => {
  await signIn(page, 'maintainer', '/deliveries')
  const links = page.getByRole('main').locator('[data-row]')
  await links.nth(1).waitFor()
  await page.keyboard.press('j')
  await expect(links.first()).toBeFocused()
  await page.keyboard.press('j')
  await expect(links.nth(1)).toBeFocused()
  await page.keyboard.press('k')
  await expect(links.first()).toBeFocused()
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(/\/deliveries\/[0-9a-f-]{36}$/)
})

test('a dialog gives the focus back to what opened it', async ({ page }) => {
  await signIn(page, 'maintainer')
  for (const [path, opener] of [
    ['/', 'Show the keys'],
    ['/', /Go to…/],
    ['/runs', 'Run an agent'],
    ['/projects', 'New project'],
    ['/projects', 'Pause the platform'],
    ['/projects/acme-greeter', 'Runs at a time…'],
    ['/projects/acme-greeter', 'Pause'],
    ['/projects/acme-greeter', 'Delete…'],
    ['/projects/acme-greeter', 'Add a member'],
    ['/projects/acme-greeter', 'Remove'],
    ['/repositories', 'Attach a repository'],
    ['/repositories', 'New secret'],
    ['/repositories', 'Detach'],
    ['/people', 'Add a person'],
    ['/people', /^Give the operator grant/],
    ['/people', 'Lock out'],
    ['/deliveries', 'What would it do now?'],
    ['/deliveries', 'Replay'],
    ['/profile', 'Make a token'],
  ] as const) {
    await page.goto(path)
    const button = page.getByRole('button', { name: opener, exact: typeof opener === 'string' }).and(page.locator(':not([aria-disabled])')).first()
    await button.focus()
    await page.keyboard.press('Enter')
    const dialog = page.getByRole('dialog').or(page.getByRole('alertdialog'))
    await expect(dialog, `${path} ${String(opener)}`).toBeVisible()
    await expect(dialog.locator(':focus'), `${path} ${String(opener)}`).toHaveCount(1)
    await page.keyboard.press('Escape')
    await expect(dialog).toHaveCount(0)
    await expect(button, `${path} ${String(opener)}`).toBeFocused()
  }
})

test('keys of the page rest while a question is open', async ({ page }) => {
  await signIn(page, 'maintainer', '/people')
  await page.getByRole('button', { name: 'Lock out', exact: true }).and(page.locator(':not([aria-disabled])')).first().click()
  await expect(page.getByRole('alertdialog').getByRole('button', { name: 'Leave it as it is' })).toBeFocused()
  await page.keyboard.press('g')
  await page.keyboard.press('r')
  await expect(page.getByRole('alertdialog')).toBeVisible()
  await expect(page).toHaveURL(/\/people$/)
})

test('the palette keeps what is chosen in sight', async ({ page }) => {
  await page.setViewportSize({ width: 1000, height: 420 })
  await signIn(page, 'maintainer')
  await page.keyboard.press('Control+k')
  const list = page.getByRole('listbox')
  await expect(list).toBeVisible()
  await page.keyboard.press('ArrowUp')
  await expect(list.getByRole('option', { selected: true })).toHaveText('Sign out')
  await expect(list.getByRole('option', { selected: true })).toBeInViewport({ ratio: 0.9 })
})

test('nothing moves for people who asked for that', async ({ page }) => {
  await page.emulateMedia({ reducedMotion: 'reduce' })
  await signIn(page, 'maintainer')
  await page.route('**/api/v1/audit**', () => undefined)
  await page.goto('/audit')
  const bar = page.getByRole('main').locator('.animate-pulse').first()
  await expect(bar).toBeVisible()
  expect(await bar.evaluate((element) => getComputedStyle(element).animationIterationCount)).toBe('1')
  expect(await bar.evaluate((element) => Number.parseFloat(getComputedStyle(element).animationDuration))).toBeLessThan(0.001)
})

test('a dialog is scrolled where it is higher than the window', async ({ page }) => {
  await signIn(page, 'maintainer', '/runs')
  await page.setViewportSize({ width: 600, height: 320 })
  await page.getByRole('button', { name: 'Run an agent' }).click()
  const go = page.getByRole('dialog').getByRole('button', { name: 'Run it' })
  await go.scrollIntoViewIfNeeded()
  await expect(go).toBeInViewport({ ratio: 0.9 })
  await page.getByRole('dialog').getByRole('heading').scrollIntoViewIfNeeded()
  await expect(page.getByRole('dialog').getByRole('heading')).toBeInViewport({ ratio: 0.9 })
})

test('a part of the console that can’t be fetched says so', async ({ page, faults }) => {
  await signIn(page, 'reader')
  await page.route(`${state.gateway_url}/assets/KeySheet*`, (route) => route.abort())
  await page.getByRole('button', { name: 'Show the keys' }).click()
  await expect(page.getByText('A part of the console could not be fetched')).toBeVisible()
  // The failure itself is in the browser's console, too.
  faults.length = 0
})
