window.YTD.app.part0 = [
  {}
]