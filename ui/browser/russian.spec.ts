import type { Locator, Page } from '@playwright/test'
import { changeStored, closeIssue, expect, labelIssue, openIssue, signIn, test } from './platform'

test.describe.configure({ timeout: 120_000 })

/** Signs somebody in who reads Russian. */
async function inRussian(page: Page, to: string): Promise<void> {
  await signIn(page, 'reader')
  await page.evaluate(() => {
    localStorage.setItem('language', 'ru')
  })
  await page.goto(to)
  await expect(page.getByRole('navigation', { name: 'Главное' })).toBeVisible()
}

/** Three words in a row in Latin letters are a sentence of the gateway's; what stands between backticks is a name. */
async function noEnglish(where: Locator): Promise<void> {
  const said = (await where.innerText()).replaceAll(/`[^`]*`/g, '')
  expect(said).toMatch(/[а-яё]/)
  expect(said).not.toMatch(/[a-z']{2,}( [a-z']{2,}){2}/i)
}

/** Opens the run of this title. */
async function openRun(page: Page, title: string): Promise<string> {
  await page.getByRole('link', { name: new RegExp(title) }).first().click()
  await expect(page).toHaveURL(/\/runs\/[0-9a-f-]{36}/)
  return new URL(page.url()).pathname.split('/').at(-1) ?? ''
}

test('a Russian reader is told in Russian why a run failed', async ({ page }) => {
  await inRussian(page, '/runs')
  await labelIssue(await openIssue('Падает', 'broken-tests'), 'run:dev')
  const run = await openRun(page, 'Падает')
  const why = page.getByRole('region', { name: 'Почему не удалось' })
  await expect(why).toContainText(/Изменено файлов: \d+, но проверка `\w+` падает|Изменён 1 файл, но проверка `\w+` падает/, { timeout: 60_000 })
  await noEnglish(why.getByRole('paragraph').first())
  await noEnglish(page.getByRole('row', { name: /issues\.labeled/ }).getByRole('cell').nth(3))

  // The same end on the page that staff look at first.
  await page.goto('/')
  await noEnglish(page.getByRole('listitem').filter({ has: page.locator(`a[href="/runs/${run}"]`) }).first())

  // What a cluster does to a Job, which a local one can't meet.
  changeStored(
    `update runs set outcome = 'lost', cause = 'The image \`nowhere/dev:1\` can''t be pulled: not found. Correct \`runtime.image\` in services.yaml, or make the image available to the cluster.' where id = '${run}'`,
  )
  await page.goto(`/runs/${run}`)
  await expect(why).toContainText('Образ `nowhere/dev:1` не удаётся скачать: not found. Исправьте `runtime.image` в services.yaml')
})

test('a Russian reader is told in Russian what a run waits for', async ({ page }) => {
  await inRussian(page, '/runs')
  const number = await openIssue('Ждёт', 'stall')
  await labelIssue(number, 'run:dev')
  const run = await openRun(page, 'Ждёт')
  await expect(page.getByRole('main').getByText('Агент работает', { exact: true }).first()).toBeVisible({ timeout: 60_000 })
  changeStored(
    `update steps set wait_until = now() + interval '1 hour', error = 'the forge limits our requests until 2026-11-27 10:00:00 UTC' where run_id = '${run}' and step = 'agent'`,
  )
  await page.reload()
  const waits = page.getByText(/Ждёт из-за предела/)
  await expect(waits).toContainText('GitHub ограничивает наши запросы до 2026-11-27 10:00:00 UTC')
  await noEnglish(waits)
  await closeIssue(number)
  const why = page.getByRole('region', { name: 'Почему не удалось' })
  await expect(why).toContainText('Отменено: @maintainer (закрывает задачу).', { timeout: 60_000 })
})

test('a Russian reader is told in Russian why a delivery started nothing, and why a wish was refused', async ({ page }) => {
  await inRussian(page, '/deliveries')
  const number = await openIssue('Ничего не выйдет', 'good-fix')
  await labelIssue(number, 'a label of no meaning')
  await page.goto(`/deliveries?q=${String(number)}`)
  const row = page.getByRole('row', { name: /issues\.labeled/ })
  const reason = 'Метка `a label of no meaning` в этом проекте ничего не начинает'
  await expect(row).toContainText(reason)
  await noEnglish(row.getByRole('cell').nth(3))
  await row.getByRole('link', { name: 'issues.labeled' }).click()
  const verdict = page.getByRole('region', { name: 'Решение' })
  await expect(verdict).toContainText(reason)
  await noEnglish(verdict)

  await page.goto('/deliveries/01900000-0000-7000-8000-000000000000')
  await expect(page.getByRole('alert')).toContainText('Такой доставки нет, или вы не участвуете в её проекте')
  // A language is changed where one is, and English is what the gateway says.
  await page.evaluate(() => {
    localStorage.setItem('language', 'en')
  })
  await page.reload()
  await expect(page.getByRole('alert')).toContainText('there is no such delivery, or you are no member of its project')
})
