import { join } from 'node:path'
import type { Page } from '@playwright/test'
import { labelIssue, openIssue, signIn, test } from './platform'

const folder = process.env.CODEX_K8S_PICTURES ?? 'pictures'

async function picture(page: Page, name: string): Promise<void> {
  await page.evaluate(() => document.fonts.ready)
  await page.screenshot({ path: join(folder, `${name}.png`), animations: 'disabled', caret: 'hide' })
}

test('signed out', async ({ page }) => {
  await page.goto('/sign-in')
  await page.getByRole('link', { name: 'Sign in with GitHub' }).waitFor()
  await picture(page, 'sign-in')
})

test('a run', async ({ page }) => {
  test.setTimeout(120_000)
  await signIn(page, 'maintainer', '/runs')
  for (const [title, scenario] of [
    ['Names with spaces are greeted badly', 'good-fix'],
    ['Greet in Russian', 'broken-tests'],
  ] as const) {
    await labelIssue(await openIssue(title, scenario), 'run:dev')
    await page.getByRole('row', { name: new RegExp(title) }).getByText(/Pull request open|Checks failed/).first().waitFor({ timeout: 60_000 })
  }
  await picture(page, 'runs')
  await page.getByRole('link', { name: /Greet in Russian/ }).first().click()
  await page.getByRole('region', { name: 'Why it failed' }).waitFor()
  await page.getByRole('log').waitFor()
  await page.setViewportSize({ width: 1200, height: 1400 })
  await picture(page, 'run')
  await page.setViewportSize({ width: 1200, height: 900 })
  for (const [tab, name] of [
    ['What the agent saw', 'prompt'],
    ['Workflow history', 'history'],
  ] as const) {
    await page.getByRole('link', { name: tab }).click()
    await page.getByRole('region', { name: tab }).waitFor()
    await picture(page, name)
  }
  await page.setViewportSize({ width: 1200, height: 700 })
  await page.goto('/')
  await page.getByRole('region', { name: 'Failed and lost runs' }).waitFor()
  await picture(page, 'home')
  await page.goto('/deliveries')
  await page.getByRole('row').nth(3).waitFor()
  await picture(page, 'deliveries')
})

test('as the owner', async ({ page }) => {
  await signIn(page, 'maintainer', '/projects')
  await page.getByRole('table').getByRole('link').first().click()
  await page.getByRole('row', { name: /writer@/ }).waitFor()
  await picture(page, 'project')
  await page.goto('/people')
  await page.getByRole('row', { name: /writer@/ }).waitFor()
  await picture(page, 'people')
  await page.goto('/audit')
  await page.getByRole('row').nth(3).waitFor()
  await picture(page, 'audit')
  await page.goto('/profile')
  await page.getByText('This browser').waitFor()
  await picture(page, 'profile')
  await page.keyboard.press('Control+k')
  await page.getByRole('combobox').waitFor()
  await picture(page, 'palette')
})
