import os, pytest, runs_harness
from action_house import MEASURE
from test_gui_browser import Watched
OUT="/tmp/j/shots"; os.makedirs(OUT, exist_ok=True)
from test_gui_browser import axe
def test_shots(axe, database_server, database_template, chromium):
    with runs_harness.workshop(database_server, database_template) as work:
        yard=work.yard
        yard.add_action("gated", number=910, gate="gpu_ready")
        yard.add_action("asked", number=913, gate="approval")
        yard.add_action("measure", "for i in 1 2 3 4 5 6 7 8; do echo working on $i; done\n"+MEASURE, number=914)
        f=yard.start("fragile", fail_parts=[2], parts=5); yard.wait(f.run_id,"partial","failed")
        f2=yard.start("fragile", fail_parts=[1,3], parts=3); yard.wait(f2.run_id,"partial","failed")
        m=yard.act("measure"); yard.wait(m,"done")
        yard.act("gated"); yard.act("asked", )
        from jobs_harness import until
        until(lambda: len(work.database.run_summary.waiting())==2)
        from adapters.actions import contracts, declare_pipeline
        from adapters.actions.pipelines import Pipeline, PipelineStep
        declare_pipeline(work.database, Pipeline(name="pictures", stages=(PipelineStep(action="measure"),PipelineStep(action="image_probe"),PipelineStep(action="asked", gate="approval"))), contracts(yard.config_path))
        h=yard.start("trial", parts=3, hold=True)
        until(lambda: "running" in yard.task_states(h.run_id).values())
        for who, opts in (("light", dict(viewport={"width":1360,"height":900})), ("dark", dict(color_scheme="dark", viewport={"width":1360,"height":900})), ("phone", dict(viewport={"width":390,"height":800}, is_mobile=True))):
            w=Watched(chromium, work, **opts); w.log_in("oto"); p=w.page
            for name,path in (("ua3","/scheduler/start/ua_3"),("scheduler","/scheduler"),("schedule","/scheduler/schedule/backup"),("runs","/runs"),("run_failed",f"/runs/{f.run_id}"),("run_done",f"/runs/{m}"),("run_live",f"/runs/{h.run_id}"),("pipelines","/pipelines"),("batch","/pipelines/batch/1"),("gates","/gates"),("start_ua1","/scheduler/start/ua_1")):
                w.open(path); p.wait_for_timeout(900)
                p.screenshot(path=f"{OUT}/{who}_{name}.png", full_page=True)
                if axe: 
                    p.evaluate(axe); r=p.evaluate("axe.run()")
                    for v in r["violations"]:
                        if v["impact"] in ("serious","critical"): print("AXE",who,name,v["id"],[n["html"][:150] for n in v["nodes"][:3]])
                wide=p.evaluate("document.documentElement.scrollWidth")
                if wide>opts["viewport"]["width"]: print("TOO WIDE", who, name, wide)
            w.open("/scheduler/start/ua_2?action=image_variants"); p.click("button:has-text('Dry run')"); p.wait_for_selector("text=Exactly this"); p.wait_for_timeout(300)
            p.screenshot(path=f"{OUT}/{who}_dry.png", full_page=True)
            p.click("button:has-text('Schedule it')"); p.wait_for_selector("text=Fires"); p.wait_for_timeout(500)
            p.screenshot(path=f"{OUT}/{who}_scheddialog.png")
            w.open("/gates"); p.click("button:has-text('Preview')"); p.wait_for_selector(".preview-dialog"); p.wait_for_timeout(1200)
            p.screenshot(path=f"{OUT}/{who}_preview.png")
            print(who, w.problems[:5]); w.context.close()
        yard.touch("go")
