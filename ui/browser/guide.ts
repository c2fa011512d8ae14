import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Locator, Page } from '@playwright/test'
import { attachRepository, commitFile, expect, labelIssue, makeRepository, openIssue, signIn, test } from './platform'

test.describe.configure({ mode: 'serial', timeout: 180_000 })

const folder = process.env.CODEX_K8S_PICTURES ?? 'pictures'
const WIDTH = 1200

/** A picture of the window, made as high as asked, or of a part of it. */
async function picture(page: Page, name: string, { height = 700, part }: { height?: number; part?: Locator } = {}): Promise<void> {
  await page.setViewportSize({ width: WIDTH, height })
  await page.evaluate(() => document.fonts.ready)
  await (part ?? page).screenshot({ path: join(folder, `${name}.png`), animations: 'disabled', caret: 'hide' })
}

/** Ends the programs of a Job, as a machine that dies does. */
function kill(job: string): void {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (readFileSync(`/proc/${pid}/environ`, 'utf8').includes(job)) process.kill(Number(pid), 'SIGKILL')
    } catch {
      // It ended meanwhile, or is nobody's business here.
    }
  }
}

test('signed out', async ({ page }) => {
  await page.goto('/sign-in')
  await page.getByRole('link', { name: 'Sign in with GitHub' }).waitFor()
  await picture(page, 'sign-in')
})

test('runs', async ({ page }) => {
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
  await picture(page, 'run', { height: 1400 })
  for (const [tab, name] of [
    ['Changes', 'changes'],
    ['What the agent saw', 'prompt'],
    ['Workflow history', 'history'],
  ] as const) {
    await page.getByRole('link', { name: tab }).click()
    await page.getByRole('region', { name: tab }).waitFor()
    await picture(page, name, { height: 900 })
  }
  await page.getByRole('button', { name: 'Retry' }).first().click()
  await picture(page, 'retry', { height: 900, part: page.getByRole('dialog', { name: 'Retry this run' }) })
})

test('a Job that was lost', async ({ page }) => {
  await signIn(page, 'maintainer', '/runs')
  await labelIssue(await openIssue('Greet whole teams', 'stall'), 'run:dev')
  await page.getByRole('link', { name: /Greet whole teams/ }).first().click()
  await expect(page.getByRole('main').getByText('The agent works', { exact: true }).first()).toBeVisible({ timeout: 60_000 })
  const job = page.getByRole('region', { name: 'The Job', exact: true })
  kill(await job.locator('summary .font-mono').innerText())
  await expect(job.getByText('What to do:')).toBeVisible({ timeout: 90_000 })
  await picture(page, 'job', { part: job })
})

test('what came in, and what needs attention', async ({ page }) => {
  await signIn(page, 'maintainer', '/deliveries')
  await labelIssue(await openIssue('Greet politely', 'good-fix'), 'wanted')
  await page.getByRole('row', { name: /No rule.*issues\.labeled/ }).first().waitFor()
  await page.getByRole('row').nth(3).waitFor()
  await picture(page, 'deliveries')
  await page.getByRole('row', { name: /No rule.*issues\.labeled/ }).first().getByRole('link', { name: 'issues.labeled' }).click()
  await page.getByRole('region', { name: 'Verdict' }).waitFor()
  await picture(page, 'delivery', { height: 480 })
  await page.goto('/')
  await page.getByRole('region', { name: 'Failed and lost runs' }).waitFor()
  await picture(page, 'home')
})

test('projects, repositories, agents', async ({ page }) => {
  await signIn(page, 'maintainer', '/projects')
  await page.getByRole('table').getByRole('link').first().waitFor()
  await picture(page, 'projects', { height: 420 })
  await page.getByRole('table').getByRole('link', { name: 'acme-greeter' }).click()
  await page.getByRole('row', { name: /writer@/ }).waitFor()
  await picture(page, 'project', { height: 1000 })
  await page.getByRole('button', { name: 'Delete' }).click()
  await picture(page, 'project-delete', { part: page.getByRole('dialog') })
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click()

  const full = await makeRepository(`farewell-${Date.now().toString(36)}`)
  const settings = (prompt: string, minutes: number) => `version: 1\nagents:\n  dev:\n    prompt: |\n${prompt.replaceAll(/^/gm, '      ')}\n    limits: {minutes: ${String(minutes)}}\n`
  await commitFile(full, 'services.yaml', settings('Write small functions.\nUse tabs.', 20))
  await attachRepository(page, full, 'acme-greeter')
  await picture(page, 'repositories', { height: 460 })
  await page.getByRole('row', { name: new RegExp(full) }).getByRole('button', { name: 'Detach' }).click()
  await picture(page, 'detach', { part: page.getByRole('dialog') })
  await page.goto('/agents?project=acme-greeter')
  const agent = page.getByRole('row', { name: new RegExp(`^dev .*${full}`) })
  await agent.getByRole('link', { name: /Version 1/ }).waitFor({ timeout: 60_000 })
  await commitFile(full, 'services.yaml', settings('Write small functions.\nUse spaces, as the rest does.\nTest what you change.', 30))
  await expect(async () => {
    await page.reload()
    await expect(agent.getByRole('link', { name: /Version 2/ })).toBeVisible({ timeout: 2000 })
  }).toPass({ timeout: 60_000 })
  await picture(page, 'agents', { height: 620 })
  await agent.getByRole('link', { name: /Version 2/ }).click()
  await page.getByRole('region', { name: 'Changes' }).waitFor()
  await picture(page, 'agent', { height: 820 })
})

test('the platform', async ({ page }) => {
  await signIn(page, 'maintainer', '/people')
  await page.getByRole('row', { name: /writer@/ }).waitFor()
  await picture(page, 'people', { height: 460 })
  await page.goto('/audit')
  await page.getByRole('row').nth(3).waitFor()
  await picture(page, 'audit')
  await page.goto('/settings')
  await page.getByRole('row', { name: /LOG_DAYS/ }).waitFor()
  await picture(page, 'settings', { height: 900 })
  await page.goto('/profile')
  await page.getByText('This browser').waitFor()
  await picture(page, 'profile')
  await page.keyboard.press('Control+k')
  await page.getByRole('combobox').waitFor()
  await picture(page, 'palette')
})
