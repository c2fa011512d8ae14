import { join } from 'node:path'
import type { Page } from '@playwright/test'
import { signIn, test } from './platform'

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

test('as the owner', async ({ page }) => {
  await signIn(page, 'maintainer', '/projects')
  await page.getByRole('table').getByRole('link').first().click()
  await page.getByRole('row', { name: /writer@/ }).waitFor()
  await picture(page, 'project')
  await page.goto('/people')
  await page.getByRole('row', { name: /writer@/ }).waitFor()
  await picture(page, 'people')
  await page.goto('/profile')
  await page.getByText('This browser').waitFor()
  await picture(page, 'profile')
  await page.keyboard.press('Control+k')
  await page.getByRole('combobox').waitFor()
  await picture(page, 'palette')
})
